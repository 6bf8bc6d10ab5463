//! Answers OCSP and CRL requests from a generation. Holds no key, writes no file, and between the octets of a request and
//! the octets of its answer waits for nothing.
//!
//! The life of a request, with the file of each step:
//!
//! 1. `listen`, `server`: one listener, runtime and set of connections a core; accepted there, it stays there.
//! 2. `lane`: the simple request is answered here: at once when its connection is accepted, or turn by turn while it lasts.
//! 3. `conversation`, `connection`: octets in and out, turn by turn; what a turn wrote is sent at its end. Whatever is not
//!    simple makes the connection hyper's (`protocol`), in HTTP/1 or HTTP/2 (`h2`). `deadlines` closes who keeps it waiting.
//!    Behind TLS (`tls`) a `session` takes the place of lane and conversation.
//! 4. `http`, on hyper's way: which octets are the question: the path (`target`) or the body; or a document (`documents`),
//!    whole or in part (`ranges`), in the content coding that suits the client (`negotiation`).
//! 5. `worker`: this core's view of the newest generation, its clock and buffers.
//! 6. [`answer`]: the hot path, five steps, no await, lock, log line or allocation. What the packs
//!    cannot answer, `live` asks the signer's live lane for, on hyper's way and within limits of its own.
//! 7. `reply`: status and header fields (`caching`), the same for both ways; [`metrics`] counted per core.
//!
//! Beside it: `reload` swaps generations off the serving threads, `admin` tells metrics (`exposition`), health and readiness, [`config`]
//! checks settings, [`cli`] starts and stops it all in order.
#![forbid(unsafe_code)]

pub mod answer;
pub mod cli;
pub mod config;
pub mod metrics;
mod negotiation;

mod admin;
mod body;
mod caching;
mod connection;
mod conversation;
mod deadlines;
mod documents;
mod exposition;
mod h2;
mod histogram;
mod http;
mod lane;
mod listen;
pub mod live;
mod process;
mod protocol;
mod ranges;
mod reload;
mod reply;
mod server;
mod session;
mod target;
mod tls;
mod worker;

/// The fuzz body of the express lane's reader, for the target in `fuzz/`.
#[cfg(any(test, feature = "fuzz"))]
pub use lane::fuzz::fuzz_head;
