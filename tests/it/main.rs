//! Promises kept across the rooms: one binary, a file per promise.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod tidy;
