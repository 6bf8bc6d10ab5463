//! DER, as much of it as this crate needs: a borrowed strict [`Reader`] (X.690 §10: definite, shortest lengths) and the
//! few functions that write.
//!
//! The reader never copies and never looks beyond what it was given; each value remembers where it stood, so that an
//! error can say so.

mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use reader::check_integer;
pub use reader::{Reader, Tlv};
pub(crate) use writer::{Cursor, header_len};
pub use writer::{push_header, push_tlv, tlv_len};

/// Tag octets used in this crate, class and constructed bit included.
pub mod tag {
    /// BOOLEAN.
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING.
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING.
    pub const OCTET_STRING: u8 = 0x04;
    /// NULL.
    pub const NULL: u8 = 0x05;
    /// OBJECT IDENTIFIER.
    pub const OID: u8 = 0x06;
    /// ENUMERATED.
    pub const ENUMERATED: u8 = 0x0a;
    /// `IA5String`.
    pub const IA5_STRING: u8 = 0x16;
    /// `UTCTime`.
    pub const UTC_TIME: u8 = 0x17;
    /// `GeneralizedTime`.
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// SEQUENCE and SEQUENCE OF.
    pub const SEQUENCE: u8 = 0x30;
    /// SET and SET OF.
    pub const SET: u8 = 0x31;

    /// `[number]`, primitive. `number` is below 31.
    pub const fn context(number: u8) -> u8 {
        0x80 | (number & 0x1f)
    }

    /// `[number]`, constructed. `number` is below 31.
    pub const fn context_constructed(number: u8) -> u8 {
        0xa0 | (number & 0x1f)
    }
}
