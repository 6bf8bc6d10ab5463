//! Our octets before other judges: each file one promise.

#![expect(clippy::unwrap_used, reason = "in a test it is the finding")]

mod foreign_corpus;
mod make_corpus;
mod oracle_crl;
mod oracle_request;
mod oracle_response;
mod oracle_several;
mod published_example;
mod strategies;
