//! Status records on their way from the signer's batches and other authorities' CRLs to a responder's memory:
//! import → check → pack → seal → publish, then follow → open → look up.
//!
//! | module | holds | half |
//! |---|---|---|
//! | [`pack`] | one immutable file of status records: layout, writer, reader | both |
//! | [`manifest`], [`seal`], [`digest`] | what a generation consists of, signed | both |
//! | [`store`] | a generation's files in a folder | both |
//! | [`snapshot`] | all files of a generation, mapped; lookup | read |
//! | [`ownership`] | whose files they are, and who else may write them | publish |
//! | [`durable`], [`object`], [`publish`] | writing a generation so that a crash leaves it whole or absent | publish |
//! | [`staged`], [`import`], [`spool`] | other CAs' CRLs and the signer's batches, judged | publish |
//! | [`home`], [`build`], [`merge`], [`draft`], [`run`] | from the spool to the next generation, a pass at a time | publish |
//! | [`sort`] | more records than memory holds, in order | publish |
//! | [`verify`] | everything read again, records held against CRLs | publish |
//! | [`inspect`] | what a generation holds, for people | publish |
//! | [`cli`] | the words of the command line | publish |
//! | [`metrics`], [`admin`] | what the main loops tell operators, and where | publish |
//! | [`follow`], [`scrub`] | copying a store to an edge, verified; looking for damage later | publish |
//! | [`bucket`] | a store in a bucket that speaks S3: the publisher's mirror, a follower's source | publish |
//!
//! The responder links this crate without the feature `publish` and gets the read half: it can write no file.

#[cfg(feature = "cli")]
pub mod admin;
#[cfg(feature = "cli")]
pub mod bucket;
#[cfg(feature = "publish")]
pub mod build;
#[cfg(feature = "cli")]
pub mod cli;
pub mod digest;
#[cfg(feature = "publish")]
pub mod draft;
#[cfg(feature = "publish")]
pub mod durable;
#[cfg(feature = "publish")]
mod encode;
pub mod error;
#[cfg(feature = "publish")]
pub mod expired;
#[cfg(feature = "publish")]
pub mod follow;
#[cfg(feature = "publish")]
pub mod home;
#[cfg(feature = "publish")]
pub mod import;
#[cfg(feature = "publish")]
pub mod inspect;
pub mod manifest;
#[cfg(feature = "publish")]
pub mod merge;
#[cfg(feature = "cli")]
pub mod metrics;
pub mod nudge;
#[cfg(feature = "publish")]
pub mod object;
#[cfg(feature = "publish")]
pub mod ownership;
pub mod pack;
#[cfg(feature = "publish")]
pub mod publish;
#[cfg(feature = "publish")]
pub mod run;
#[cfg(feature = "publish")]
pub mod scrub;
pub mod seal;
pub mod snapshot;
#[cfg(feature = "publish")]
pub mod sort;
#[cfg(feature = "publish")]
pub mod spool;
#[cfg(feature = "publish")]
pub mod staged;
pub mod store;
#[cfg(feature = "publish")]
pub mod verify;

#[cfg(feature = "publish")]
#[cfg(test)]
mod run_tests;
#[cfg(feature = "publish")]
#[cfg(test)]
mod specimen;
#[cfg(feature = "publish")]
#[cfg(test)]
mod trial_disk;
#[cfg(feature = "publish")]
#[cfg(test)]
mod workshop;
