//! Reads little-endian numbers one after another, with the offset kept.

use crate::{DecodeError, Rule};

/// Octets not yet read.
pub(super) struct Input<'a> {
    pub(super) rest: &'a [u8],
    pub(super) offset: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            offset: 0,
        }
    }

    pub(super) fn error(&self, rule: Rule) -> DecodeError {
        rule.at(self.offset)
    }

    pub(super) fn take(&mut self, octets: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(octets)
            .ok_or(self.error(Rule::Truncated))?;
        self.rest = rest;
        self.offset += octets;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let error = self.error(Rule::Truncated);
        self.take(N)?.try_into().map_err(|_| error)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn length(&mut self) -> Result<usize, DecodeError> {
        let error = self.error(Rule::TooLong);
        usize::try_from(self.u32()?).map_err(|_| error)
    }

    pub(super) fn section(&mut self) -> Result<Input<'a>, DecodeError> {
        let length = self.length()?;
        let offset = self.offset;
        Ok(Input {
            rest: self.take(length)?,
            offset,
        })
    }

    /// The same place, but ending where the header says it does.
    pub(super) fn limited(&self, header_octets: usize) -> Result<Input<'a>, DecodeError> {
        let left = header_octets
            .checked_sub(self.offset)
            .ok_or(Rule::FieldRange.at(12))?;
        Ok(Input {
            rest: self.rest.get(..left).ok_or(self.error(Rule::Truncated))?,
            offset: self.offset,
        })
    }

    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(Rule::TrailingOctets))
        }
    }
}
