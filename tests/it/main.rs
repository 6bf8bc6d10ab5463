//! Promises kept across the rooms: one binary, a file per promise.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod alerts;
mod arrows;
mod bad_generations;
mod bouncycastle;
mod caches;
mod city_day;
mod conformance;
mod corpus;
mod crash;
mod crl_forms;
mod crl_judges;
mod dashboard;
mod documents;
mod faults;
mod fleet;
mod foreign_crl;
mod forms_bad_input;
mod freshness;
mod garbage;
mod gnutls_ocsp;
mod holds;
mod http2;
mod http_forms;
mod hufu_up;
mod indirect_lists;
mod jdk_pkix;
mod live_lane;
mod long_lists;
mod metrics;
mod openssl_ocsp;
mod preferred;
mod refused_pieces;
mod reload;
mod relying_parties;
mod sm2_judges;
mod small_authority;
mod syscalls;
mod tidy;
mod tls;
mod two_generations;
mod unauthorized;
mod unsigned_lists;
