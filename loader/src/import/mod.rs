//! Import: what comes from outside, judged before anything is built from it.
//!
//! | module | holds |
//! |---|---|
//! | [`file`](mod@file), [`report`] | `import --crl`: two files in, one staged folder and a report out |
//! | [`crl`] | is this list that CA's, whole, and to be believed at a given moment? |
//! | [`unsigned`], [`lines`] | `import --index`, `import --csv`: lists without a signature, for the operator's word |
//! | [`delta`] | what a delta list changes, and of which full list |
//! | `intake`, [`floor`], `set` | of an import: a list by itself, what is staged already, what stands together in the end |
//! | [`together`] | several lists of one CA that speak together: deltas, partitions |
//! | [`whose`] | who signed a list, and whose certificates its entries are about: indirect lists |
//! | [`armour`], [`list`] | a list read once from front to back, however long |
//! | [`check`], [`listed`] | what must hold between a list's entries; in memory, and from a sort |
//! | [`certificate`], [`trust`] | certificates of others, their keys, their signatures |
//! | [`prehash`], `rsa` | the same of messages too long to be held |
//! | [`refusal`] | why a list was refused, and what to do |
//! | [`batch`] | the signer's batch file, read once from front to back |
//! | [`admit`] | may this batch in? |
//! | [`guard`] | what must hold of and between a batch's records |
//! | [`responder`], [`witness`] | who signs the answers, and spot checks that they verify |
//! | [`agree`] | does a batch say what our own reading of the staged CRL says? |
//!
//! A CRL is refused whole, a batch is set aside whole; there is no half an import.

pub mod admit;
pub mod agree;
pub mod armour;
pub mod batch;
pub mod certificate;
pub mod check;
pub mod crl;
pub mod delta;
mod documents;
pub mod file;
pub mod floor;
pub mod guard;
mod intake;
pub mod lines;
pub mod list;
pub mod listed;
pub mod prehash;
pub mod refusal;
pub mod report;
pub mod responder;
mod rsa;
mod set;
pub mod together;
pub mod trust;
pub mod unsigned;
pub mod whose;
pub mod witness;

#[cfg(test)]
mod tests;
