//! Judgements about other CAs' lists and keys, each with one thing wrong.

mod crl;
mod file;
mod list;
mod prehash;
mod trust;
mod unsigned;
