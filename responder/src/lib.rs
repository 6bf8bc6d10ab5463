//! Answers OCSP and CRL requests from a generation. Holds no key, writes no file, and between the octets of a request and
//! the octets of its answer waits for nothing.
//!
//! The life of a request, with the file of each step:
//!
//! 1. `listen`, `server`: one listener, runtime and set of connections a core; accepted there, it stays there.
//! 2. `conversation`, `connection`: turn by turn, octets in and out under hyper; what a turn wrote is sent at its end.
//!    `deadlines` closes who keeps it waiting.
//! 3. `http`: which octets are the question: the path (`target`) or the body; or a document (`documents`).
//! 4. `worker`: this core's view of the newest generation, its clock and buffers.
//! 5. [`answer`]: the hot path, five steps, no await, lock, log line or allocation.
//!    What the packs cannot answer, `live` asks the signer's live lane for, within limits of its own.
//! 6. `http` again: status and headers (`caching`), [`metrics`] counted per core.
//!
//! Beside it: `reload` swaps generations off the serving threads, `admin` tells metrics (`exposition`), health and readiness, [`config`]
//! checks settings, [`cli`] starts and stops it all in order.
#![forbid(unsafe_code)]

pub mod answer;
pub mod cli;
pub mod config;
pub mod metrics;

mod admin;
mod body;
mod caching;
mod connection;
mod conversation;
mod deadlines;
mod documents;
mod exposition;
mod histogram;
mod http;
mod listen;
pub mod live;
mod process;
mod reload;
mod reply;
mod server;
mod target;
mod worker;
