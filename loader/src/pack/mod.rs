//! A pack: the status of one issuer's certificates, all of one shard (base) or what changed since (delta), in one
//! immutable file.
//!
//! Its life: records come in sorted ([`writer`]), the file is [`Sealed`](crate::object::Sealed) and published under its
//! own hash, mapped and asked by responders ([`reader`]), and unlinked when no recent manifest names it.
//!
//! | file | holds |
//! |---|---|
//! | [`layout`] | the byte table, the header's structs, where sections lie |
//! | [`tables`] | the front of the file: what responses share; its reader and its writer |
//! | [`index`] | from a serial to a bucket: pure functions |
//! | [`spec`], [`writer`] | what a pack is to be; records in, file out |
//! | [`reader`] | open (cheap), find |
//! | [`verify`] | every record held against its place (costly) |
//! | `late_hash` | the hash of a file whose header is known last |
//! | [`flaw`] | everything a file can have wrong |
//! | `map` | the mapping, the only `unsafe` |

pub mod flaw;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod index;
#[cfg(feature = "publish")]
mod late_hash;
pub mod layout;
mod map;
pub mod reader;
#[cfg(feature = "publish")]
pub mod spec;
pub mod tables;
pub mod verify;
#[cfg(feature = "publish")]
pub mod writer;

pub use flaw::Flaw;
pub(crate) use map::Map;
pub use reader::{Find, Pack, PackError};
#[cfg(feature = "publish")]
pub use spec::{PackSpec, Scope, WriteError};
pub use tables::{Responder, Shared, Variant, Window};
#[cfg(feature = "publish")]
pub use writer::PackWriter;

#[cfg(feature = "publish")]
#[cfg(test)]
mod tests;
