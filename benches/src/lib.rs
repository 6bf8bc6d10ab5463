//! What the measuring programs share: starting a server on one core, reading what it cost, driving it.
//!
//! - [`contenders`]: the servers that are compared.
//! - [`crl`]: synthetic CRLs.
//! - [`issuer`]: a throw-away CA and its delegated responder.
//! - [`memory`]: anonymous and mapped memory, apart.
//! - [`population`]: a synthetic issuer with any number of signed records, made from a seed.
//! - [`requests`]: the OCSP requests asked of every server, and the `wrk` scripts that carry them.
//! - [`server`]: a server process pinned to one core and the processor time it has used.
//! - [`load`]: one run of `wrk` on another core.
//!
//! Figures are ratios taken side by side in one run; an absolute figure means little on another machine.

pub mod contenders;
pub mod crl;
pub mod issuer;
pub mod load;
pub mod memory;
pub mod population;
pub mod requests;
pub mod server;
