//! One certificate's status and signatures in fixed width: the same octets in a batch and in a pack, so that the loader
//! moves records and never re-writes them. Little endian.
//!
//! ```text
//! serial     serial_octets   content of the INTEGER, sign-extended on the left
//! status     1               CertStatus::code
//! time       4               revocation time, unix seconds; zero unless revoked
//! window     2               number of the window in the header's table
//! signatures                 one of each variant, raw, in the header's order
//! ```

use crate::algorithm::SignatureAlgorithm;
use crate::serial::{MAX_SERIAL_OCTETS, Serial, shortest};
use crate::status::CertStatus;
use crate::{DecodeError, Rule};

/// Variants of one header at most.
pub const MAX_VARIANTS: usize = 16;

/// Octets of a record besides serial and signatures.
const FIXED: usize = 1 + 4 + 2;

/// Where the parts of a record lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLayout {
    serial_octets: usize,
    /// `ends[i]` is where the signature of variant `i` ends; the last one repeats to the end of the array.
    ends: [usize; MAX_VARIANTS],
    variants: usize,
}

impl RecordLayout {
    /// The layout for serials of this width and variants signed with these algorithms, in order.
    pub fn new(
        serial_octets: usize,
        variants: impl IntoIterator<Item = SignatureAlgorithm>,
    ) -> Result<Self, Rule> {
        if !(1..=MAX_SERIAL_OCTETS).contains(&serial_octets) {
            return Err(Rule::FieldRange);
        }
        let mut end = serial_octets + FIXED;
        let mut ends = [0; MAX_VARIANTS];
        let mut places = ends.iter_mut();
        let mut count = 0;
        for algorithm in variants {
            end += algorithm.raw_octets();
            *places.next().ok_or(Rule::FieldRange)? = end;
            count += 1;
        }
        places.for_each(|place| *place = end);
        Ok(Self {
            serial_octets,
            ends,
            variants: count,
        })
    }

    /// Width of the serial.
    pub const fn serial_octets(&self) -> usize {
        self.serial_octets
    }

    /// Count of variants, and so of signatures.
    pub const fn variants(&self) -> usize {
        self.variants
    }

    /// Octets of a whole record.
    #[inline]
    pub fn record_octets(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Writes a record without its signatures into `out`, which has [`record_octets`](Self::record_octets) octets; the
    /// signatures are put in by [`signature_mut`](Self::signature_mut).
    pub fn write(
        &self,
        out: &mut [u8],
        serial: &Serial,
        status: CertStatus,
        window: u16,
    ) -> Result<(), Rule> {
        if out.len() != self.record_octets() {
            return Err(Rule::RecordWidth);
        }
        let padded = serial
            .padded(self.serial_octets)
            .ok_or(Rule::SerialTooLong)?;
        let time = status.time().ok_or(Rule::TimeTooLate)?.to_le_bytes();
        let window = window.to_le_bytes();
        let code = [status.code()];
        let head = padded
            .iter()
            .chain(&code)
            .chain(&time)
            .chain(&window)
            .copied();
        // `head` is shorter than `out`, whose length was checked.
        for (place, octet) in out.iter_mut().zip(head) {
            *place = octet;
        }
        Ok(())
    }

    /// Where the signature of a variant goes.
    pub fn signature_mut<'r>(&self, record: &'r mut [u8], variant: usize) -> Option<&'r mut [u8]> {
        let (start, end) = self.signature_range(variant)?;
        record.get_mut(start..end)
    }

    /// A view of a record. `octets` has [`record_octets`](Self::record_octets) octets.
    #[inline]
    pub fn record<'a>(&'a self, octets: &'a [u8]) -> Result<RecordRef<'a>, Rule> {
        if octets.len() == self.record_octets() {
            Ok(RecordRef {
                layout: self,
                octets,
            })
        } else {
            Err(Rule::RecordWidth)
        }
    }

    #[inline]
    fn signature_range(&self, variant: usize) -> Option<(usize, usize)> {
        if variant >= self.variants {
            return None;
        }
        let end = *self.ends.get(variant)?;
        let start = match variant.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => self.serial_octets + FIXED,
        };
        Some((start, end))
    }
}

/// A record, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    layout: &'a RecordLayout,
    octets: &'a [u8],
}

impl<'a> RecordRef<'a> {
    /// The whole record.
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The serial, sign-extended to the layout's width.
    #[inline]
    pub fn serial_padded(&self) -> &'a [u8] {
        self.octets
            .get(..self.layout.serial_octets)
            .unwrap_or_default()
    }

    /// The content octets of the serial's INTEGER.
    #[inline]
    pub fn serial_content(&self) -> &'a [u8] {
        shortest(self.serial_padded())
    }

    /// The status.
    #[inline]
    pub fn status(&self) -> Result<CertStatus, DecodeError> {
        let at = self.layout.serial_octets;
        match self.octets.get(at..) {
            Some(&[code, t0, t1, t2, t3, ..]) => {
                CertStatus::from_code(code, u32::from_le_bytes([t0, t1, t2, t3]))
                    .map_err(|rule| rule.at(at))
            }
            _ => Err(Rule::Truncated.at(at)),
        }
    }

    /// The number of its window.
    #[inline]
    pub fn window(&self) -> u16 {
        match self.octets.get(self.layout.serial_octets + 5..) {
            Some(&[low, high, ..]) => u16::from_le_bytes([low, high]),
            _ => 0,
        }
    }

    /// The raw signature of a variant.
    #[inline]
    pub fn signature(&self, variant: usize) -> Option<&'a [u8]> {
        let (start, end) = self.layout.signature_range(variant)?;
        self.octets.get(start..end)
    }
}

#[cfg(test)]
mod tests;
