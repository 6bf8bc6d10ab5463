//! Writing: lengths are computed first, octets are then put down once, forward.

use alloc::vec::Vec;

/// Octets of the longest header: tag, count of length octets, a 64-bit length.
const MAX_HEADER: usize = 10;

/// Octets of a header whose content has `length` octets.
#[inline]
pub(crate) const fn header_len(length: usize) -> usize {
    match length {
        0..=0x7f => 2,
        0x80..=0xff => 3,
        0x100..=0xffff => 4,
        0x1_0000..=0xff_ffff => 5,
        // No response comes here; a list of a hundred million entries does.
        _ => 2 + (usize::BITS - length.leading_zeros()).div_ceil(8) as usize,
    }
}

/// Octets of a whole value whose content has `length` octets.
#[inline]
pub const fn tlv_len(length: usize) -> usize {
    header_len(length).saturating_add(length)
}

/// Appends tag and length.
pub fn push_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    let (header, used) = header(tag, length);
    out.extend_from_slice(header.get(..used).unwrap_or_default());
}

/// Appends a whole value.
pub fn push_tlv(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    push_header(out, tag, content.len());
    out.extend_from_slice(content);
}

/// Tag and length in a small array, and how many of its octets count.
fn header(tag: u8, length: usize) -> ([u8; MAX_HEADER], usize) {
    let [o0, o1, o2, o3, o4, o5, o6, o7] = (length as u64).to_be_bytes();
    let used = header_len(length);
    let header = match used {
        2 => [tag, o7, 0, 0, 0, 0, 0, 0, 0, 0],
        3 => [tag, 0x81, o7, 0, 0, 0, 0, 0, 0, 0],
        4 => [tag, 0x82, o6, o7, 0, 0, 0, 0, 0, 0],
        5 => [tag, 0x83, o5, o6, o7, 0, 0, 0, 0, 0],
        6 => [tag, 0x84, o4, o5, o6, o7, 0, 0, 0, 0],
        7 => [tag, 0x85, o3, o4, o5, o6, o7, 0, 0, 0],
        8 => [tag, 0x86, o2, o3, o4, o5, o6, o7, 0, 0],
        9 => [tag, 0x87, o1, o2, o3, o4, o5, o6, o7, 0],
        _ => [tag, 0x88, o0, o1, o2, o3, o4, o5, o6, o7],
    };
    (header, used)
}

/// Puts octets down one after another in a buffer of the caller's. Running over its end writes nothing and is
/// remembered.
#[derive(Debug)]
pub(crate) struct Cursor<'b> {
    rest: &'b mut [u8],
    short: bool,
}

impl<'b> Cursor<'b> {
    pub(crate) fn new(out: &'b mut [u8]) -> Self {
        Self {
            rest: out,
            short: false,
        }
    }

    /// Copies `octets`.
    #[inline]
    pub(crate) fn put(&mut self, octets: &[u8]) {
        match core::mem::take(&mut self.rest).split_at_mut_checked(octets.len()) {
            Some((here, rest)) => {
                here.copy_from_slice(octets);
                self.rest = rest;
            }
            None => self.short = true,
        }
    }

    /// Tag and length. The usual sizes are copied as arrays of known length, which costs a move each instead of a call.
    #[inline]
    pub(crate) fn header(&mut self, tag: u8, length: usize) {
        let [.., high, low] = length.to_be_bytes();
        match length {
            0..=0x7f => self.put(&[tag, low]),
            0x80..=0xff => self.put(&[tag, 0x81, low]),
            0x100..=0xffff => self.put(&[tag, 0x82, high, low]),
            _ => {
                let (header, used) = header(tag, length);
                self.put(header.get(..used).unwrap_or_default());
            }
        }
    }

    /// True if everything fitted and nothing is left.
    #[inline]
    pub(crate) fn filled(&self) -> bool {
        !self.short && self.rest.is_empty()
    }
}
