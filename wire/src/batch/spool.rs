//! Names of batches in the spool: twenty digits, so that names sort as numbers do.

use alloc::format;
use alloc::string::String;

/// `00000000000000000042.batch`
pub fn spool_name(number: u64) -> String {
    format!("{number:020}.batch")
}

/// `00000000000000000042.ack`: what the loader leaves once a generation that holds the batch is published.
pub fn acknowledgement_name(number: u64) -> String {
    format!("{number:020}.ack")
}

/// The number in the name of a batch; `None` for any other name.
pub fn parse_spool_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".batch")?;
    if digits.len() != 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
