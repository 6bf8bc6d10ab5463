//! The responder as its clients meet it: a process, and octets over plain sockets.
//!
//! `edge` publishes generations, `process` starts the program and speaks with it (`ports`: at an address that is known
//! before); then a file for each promise.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod edge;
mod ports;
mod process;

mod conditions;
mod crowd;
mod documents;
mod forms;
mod http2;
mod lane;
mod lifecycle;
mod limits;
mod operators;
mod preferred;
mod reload;
mod restart;
mod speech;
mod vanished;
