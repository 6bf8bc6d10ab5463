//! What can be wrong with a pack file: one closed list for opening, verifying and (as a self-check) writing.

/// A rule of `layout.rs` that a file breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Ends before what its header announces.
    #[error("the file ends too early")]
    TooShort,
    /// Other first octets.
    #[error("this is not a pack: it does not begin with HUFUPACK")]
    NotAPack,
    /// Another format version.
    #[error("pack format version {found} is not known here")]
    Version {
        /// What the header says.
        found: u16,
    },
    /// Torn or extended.
    #[error("the header says {claimed} octets, the file has {found}")]
    Length {
        /// What the header says.
        claimed: u64,
        /// What the file system says.
        found: u64,
    },
    /// Neither base nor delta.
    #[error("pack kind {found} is not known here")]
    Kind {
        /// What the header says.
        found: u16,
    },
    /// Numbers that no writer of ours puts together.
    #[error("the header's counts contradict one another")]
    Counts,
    /// Offsets that are not where the counts put them.
    #[error("a section is not where the header's counts put it")]
    Sections,
    /// A flipped bit in header or tables.
    #[error("header and tables do not have the hash the header says")]
    TablesHash,
    /// An algorithm or form that this version does not know.
    #[error("an algorithm or CertID form is not known here")]
    Code,
    /// The record's width does not follow from serial width and algorithms.
    #[error("the record's width does not follow from its algorithms")]
    RecordWidth,
    /// A variant or window names a responder that is not there or has another algorithm.
    #[error("a variant or window names a responder that is missing or has another algorithm")]
    Responders,
    /// A response would carry times its responder's certificate does not cover.
    #[error("window {number} is outside its responder certificate's validity")]
    WindowOutsideResponder {
        /// Its number.
        number: usize,
    },
    /// Found by `verify`: a record out of place, or in two.
    #[error("record {index} is not in order, is twice here, or belongs to another shard or bucket")]
    RecordOrder {
        /// Counted from zero.
        index: u64,
    },
    /// Found by `verify` or by a question: status, window or serial that cannot be.
    #[error("record {index} has a status, window or serial that cannot be")]
    RecordContent {
        /// Counted from zero.
        index: u64,
    },
    /// Found by `verify`: the directory or the filter does not describe the records.
    #[error("directory or filter of bucket {bucket} does not describe its records")]
    Directory {
        /// Counted from zero.
        bucket: u64,
    },
    /// Found by `verify`: padding that is not zero.
    #[error("the padding between sections is not zero")]
    Padding,
}
