//! What the measuring programs share: starting a server on one core, reading what it cost, driving it.
//!
//! - [`ask`]: a client that asks about one certificate again and again.
//! - [`contenders`]: the servers that are compared.
//! - [`crl`]: synthetic CRLs.
//! - [`demo`]: the demo of `hufu up`, its responder and its live lane.
//! - [`flood`]: steady loads and how long each answer took.
//! - [`issuer`]: a throw-away CA and its delegated responder.
//! - [`mod@line`]: signer, loader, follower and responder, as production runs them.
//! - [`memory`]: anonymous and mapped memory, apart.
//! - [`population`]: a synthetic issuer with any number of signed records, made from a seed.
//! - [`processor`]: the processor time of a thread of our own.
//! - [`requests`]: the OCSP requests asked of every server, and the `wrk` scripts that carry them.
//! - [`server`]: a server process pinned to one core and the processor time it has used.
//! - [`slices`]: what was counted while loads ran, and what of it was whose.
//! - [`load`]: one run of `wrk` on another core.
//! - [`timetable`]: requests that leave when they are due, from one thread.
//!
//! Figures are ratios taken side by side in one run; an absolute figure means little on another machine.

pub mod ask;
pub mod contenders;
pub mod crl;
pub mod demo;
pub mod flood;
pub mod issuer;
pub mod line;
pub mod load;
pub mod memory;
pub mod population;
pub mod processor;
pub mod requests;
pub mod server;
pub mod slices;
pub mod timetable;
