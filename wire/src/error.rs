//! What is wrong with the octets: the rule that was broken and the offset where.
//!
//! The sender is at fault in every one of these; a caller of ours that passes too small a buffer gets
//! [`response::AssembleError`](crate::response::AssembleError) instead.

use core::fmt;

/// Octets that do not say what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The rule that was broken.
    pub rule: Rule,
    /// Where, in octets from the start of what was handed in.
    pub offset: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at octet {}: {}", self.offset, self.rule)
    }
}

impl core::error::Error for DecodeError {}

macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident => $sentence:literal,)+) => {
        /// Every rule that input of ours can break. `Display` says it in a sentence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $sentence] $(#[$meta])* $name,)+
        }

        impl Rule {
            /// The rule as a sentence without a full stop.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)+
                }
            }
        }
    };
}

rules! {
    // X.690
    Truncated => "the octets end before the value does",
    TrailingOctets => "octets follow where nothing may",
    UnexpectedTag => "a value of another type stands here",
    HighTagNumber => "tag numbers above 30 are not used here",
    IndefiniteLength => "a length must be definite",
    LengthNotMinimal => "a length must be in its shortest form",
    LengthTooLong => "a length must fit four octets",
    IntegerEmpty => "an integer needs at least one octet",
    IntegerNotMinimal => "an integer must be in its shortest form",
    IntegerTooLong => "an integer is longer than is taken",
    BooleanNotCanonical => "a boolean is 00 or FF",
    BitStringUnusedBits => "a bit string's count of unused bits is wrong",
    DefaultEncoded => "a value equal to its default must be left out",
    NotEmpty => "this value must be empty",
    Empty => "a list here must not be empty",
    // Times
    TimeForm => "a time must be YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ",
    TimeRange => "a field of the time is out of its range",
    TimeBefore1970 => "times before 1970 are not taken",
    TimeTooLate => "the time does not fit a record",
    // Serials, names, algorithms
    SerialTooLong => "a serial number has more octets than are taken",
    AlgorithmsDiffer => "the algorithm inside the signed part differs from the one outside",
    // OCSP
    TooLong => "the message is longer than is taken",
    TooManyCertIds => "more certificates are asked about than are taken",
    VersionUnknown => "the version is not one known here",
    NonceLength => "a nonce has 1 to 128 octets",
    CriticalExtensionUnknown => "a critical extension is not known here",
    HashLength => "a hash has another length than its algorithm's",
    ResponseStatus => "the response's status is not one of RFC 6960's",
    ResponseType => "the response is not a basic OCSP response",
    CertStatusUnknown => "the certificate's status is not good, revoked or unknown",
    // CRLs
    ReasonUnknown => "the reason code is not one of RFC 5280's",
    DatesBackwards => "the later of two dates stands before the earlier",
    ExtensionRepeated => "an extension stands twice",
    ExtensionsInV1 => "a version 1 list holds no extensions",
    PemForm => "the PEM armour is broken",
    // Batches and records
    Magic => "the file does not begin as a batch does",
    FormatVersion => "the format version is not one known here",
    CodeUnknown => "a code is not one known here",
    FieldRange => "a field is out of its range",
    RecordWidth => "the record's width does not follow from its parts",
    NotUtf8 => "the text is not UTF-8",
    ReservedNotZero => "reserved octets must be zero",
}

impl Rule {
    /// This rule, broken at `offset`.
    pub const fn at(self, offset: usize) -> DecodeError {
        DecodeError { rule: self, offset }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl core::error::Error for Rule {}
