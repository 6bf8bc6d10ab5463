//! The batch file, version 1: what the signer hands to the loader. Little endian.
//!
//! ```text
//! header     see `Header`; its own length stands in it
//! records    record_count × record_octets, see `record`; sorted by (shard, rest, padded serial), no serial twice
//! trailer    BLAKE3 32 over everything before, Ed25519 64 over "hufu batch v1\0" ‖ that BLAKE3
//! ```
//!
//! Hashing and signing are the callers'. A reader takes [`PREFIX_OCTETS`] first, learns from [`header_octets`] how much
//! the header has, and then parses it whole; records follow as a stream.

mod codec;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod header;
mod input;
mod sections;
mod spool;
#[cfg(test)]
mod tests;

pub use codec::{header_octets, kind_of};
pub use header::{
    Document, DocumentKind, Header, Kind, ListNote, Responder, Source, Variant, Window,
};
pub use spool::{acknowledgement_name, parse_spool_name, spool_name};

/// The first octets of every batch.
pub const MAGIC: [u8; 8] = *b"HUFUBTCH";
/// The version written here.
pub const VERSION: u16 = 1;
/// Octets from which the header's length can be learned.
pub const PREFIX_OCTETS: usize = 16;
/// Octets of the longest header taken: documents are inside, and a CRL of ten million entries has some 400 MB.
pub const MAX_HEADER_OCTETS: u32 = 1 << 30;
/// Windows of one header at most: a record names its window by two octets.
pub const MAX_WINDOWS: usize = 1 << 16;
/// Octets of the hash in the trailer.
pub const TRAILER_HASH_OCTETS: usize = 32;
/// Octets of the signature in the trailer.
pub const TRAILER_SIGNATURE_OCTETS: usize = 64;
/// Octets of the trailer.
pub const TRAILER_OCTETS: usize = TRAILER_HASH_OCTETS + TRAILER_SIGNATURE_OCTETS;
/// What the trailer's signature is over, before the hash.
pub const SIGNATURE_CONTEXT: &[u8; 14] = b"hufu batch v1\0";

/// What the trailer's signature is over.
pub fn signed_octets(hash: &[u8; TRAILER_HASH_OCTETS]) -> [u8; 14 + TRAILER_HASH_OCTETS] {
    let mut octets = [0; 14 + TRAILER_HASH_OCTETS];
    for (place, octet) in octets.iter_mut().zip(SIGNATURE_CONTEXT.iter().chain(hash)) {
        *place = *octet;
    }
    octets
}
