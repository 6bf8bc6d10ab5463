//! The strict reader: definite lengths in their shortest form, one-octet tags, offsets kept.

use super::tag;
use crate::{DecodeError, Rule};

/// One value: tag, length and content, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag octet.
    pub tag: u8,
    /// The whole value, header included.
    pub raw: &'a [u8],
    /// The content octets.
    pub content: &'a [u8],
    /// Where `content` starts in the outermost input.
    pub offset: usize,
}

impl<'a> Tlv<'a> {
    /// A reader over the content.
    pub fn reader(&self) -> Reader<'a> {
        Reader {
            rest: self.content,
            offset: self.offset,
        }
    }

    /// An error at the start of this value's content.
    pub fn error(&self, rule: Rule) -> DecodeError {
        rule.at(self.offset)
    }
}

/// Reads values one after another from borrowed octets.
///
/// The small steps are always inlined: left to itself the compiler calls them, and hands a [`Tlv`] through memory each
/// time; a request then costs 745 instructions instead of 526.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader over `octets`; offsets count from its start.
    pub const fn new(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            offset: 0,
        }
    }

    /// A reader over octets that stand at `offset` of an input that is not held whole.
    pub const fn at(octets: &'a [u8], offset: usize) -> Self {
        Self {
            rest: octets,
            offset,
        }
    }

    /// Where the next value starts in the outermost input.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True once everything is read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The same reader further on, at an offset of the outermost input; `None` if it does not lie ahead.
    pub fn skipped_to(mut self, offset: usize) -> Option<Self> {
        self.rest = self.rest.get(offset.checked_sub(self.offset)?..)?;
        self.offset = offset;
        Some(self)
    }

    /// The tag octet of the next value, if there is one.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// An error at the next value.
    pub fn error(&self, rule: Rule) -> DecodeError {
        rule.at(self.offset)
    }

    /// Refuses trailing octets.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(Rule::TrailingOctets))
        }
    }

    /// The next value, whatever its tag.
    #[inline(always)]
    pub fn any(&mut self) -> Result<Tlv<'a>, DecodeError> {
        let (tag, header, length) = self.header()?;
        // Cannot overflow: header ≤ 6, length < 2^32 on 64-bit; checked for the sake of 32-bit targets.
        let total = header
            .checked_add(length)
            .ok_or(self.error(Rule::LengthTooLong))?;
        let (raw, rest) = self
            .rest
            .split_at_checked(total)
            .ok_or(self.error(Rule::Truncated))?;
        let content = raw.get(header..).unwrap_or_default();
        let value = Tlv {
            tag,
            raw,
            content,
            offset: self.offset + header,
        };
        self.rest = rest;
        self.offset += total;
        Ok(value)
    }

    /// The next value, which must have `tag`.
    #[inline(always)]
    pub fn read(&mut self, tag: u8) -> Result<Tlv<'a>, DecodeError> {
        match self.peek() {
            Some(found) if found == tag => self.any(),
            Some(_) => Err(self.error(Rule::UnexpectedTag)),
            None => Err(self.error(Rule::Truncated)),
        }
    }

    /// The next value if it has `tag`, otherwise nothing is read.
    #[inline(always)]
    pub fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, DecodeError> {
        if self.peek() == Some(tag) {
            self.any().map(Some)
        } else {
            Ok(None)
        }
    }

    /// A reader over the content of the next value, which must be a SEQUENCE.
    #[inline(always)]
    pub fn sequence(&mut self) -> Result<Reader<'a>, DecodeError> {
        self.read(tag::SEQUENCE).map(|value| value.reader())
    }

    /// The content octets of the next value, an INTEGER in its shortest form (X.690 §8.3.2) of at most `most` octets.
    #[inline]
    pub fn integer(&mut self, most: usize) -> Result<Tlv<'a>, DecodeError> {
        let value = self.read(tag::INTEGER)?;
        check_integer(value.content, most).map_err(|rule| value.error(rule))?;
        Ok(value)
    }

    /// A BOOLEAN, 00 or FF (X.690 §11.1).
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        let value = self.read(tag::BOOLEAN)?;
        match value.content {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(value.error(Rule::BooleanNotCanonical)),
        }
    }

    /// A BIT STRING of whole octets: the octets without the count of unused bits.
    pub fn bit_string_octets(&mut self) -> Result<Tlv<'a>, DecodeError> {
        let value = self.read(tag::BIT_STRING)?;
        match value.content.split_first() {
            Some((0, octets)) => Ok(Tlv {
                content: octets,
                offset: value.offset + 1,
                ..value
            }),
            _ => Err(value.error(Rule::BitStringUnusedBits)),
        }
    }

    /// Steps into the next value, which must have `tag` and need not be there whole: gives the octets of its content.
    pub fn enter(&mut self, tag: u8) -> Result<usize, DecodeError> {
        if self.peek().is_some_and(|found| found != tag) {
            return Err(self.error(Rule::UnexpectedTag));
        }
        let (_, header, length) = self.header()?;
        self.rest = self.rest.get(header..).unwrap_or_default();
        self.offset += header;
        Ok(length)
    }

    /// Octets of the whole next value, header included, going by its header alone.
    #[inline]
    pub fn announced(&self) -> Result<usize, DecodeError> {
        let (_, header, length) = self.header()?;
        header
            .checked_add(length)
            .ok_or(self.error(Rule::LengthTooLong))
    }

    /// Tag, octets of the header, octets of the content.
    #[inline(always)]
    fn header(&self) -> Result<(u8, usize, usize), DecodeError> {
        match self.rest {
            // Nearly every value of a request: a low tag and a short length.
            &[tag, length, ..] if tag & 0x1f != 0x1f && length < 0x80 => {
                Ok((tag, 2, usize::from(length)))
            }
            _ => self.long_header(),
        }
    }

    /// The header of a value whose length has the long form, or that is broken.
    fn long_header(&self) -> Result<(u8, usize, usize), DecodeError> {
        let (&tag, after) = self.rest.split_first().ok_or(self.error(Rule::Truncated))?;
        if tag & 0x1f == 0x1f {
            return Err(self.error(Rule::HighTagNumber));
        }
        let (&first, after) = after.split_first().ok_or(self.error(Rule::Truncated))?;
        let count = usize::from(first & 0x7f);
        match count {
            0 => return Err(self.error(Rule::IndefiniteLength)),
            1..=4 => {}
            _ => return Err(self.error(Rule::LengthTooLong)),
        }
        let octets = after.get(..count).ok_or(self.error(Rule::Truncated))?;
        let length = octets
            .iter()
            .fold(0_usize, |sum, &octet| (sum << 8) | usize::from(octet));
        // X.690 §10.1: the fewest octets. A length below 128 has the short form; a long one no leading zero.
        if octets.first() == Some(&0) || length < 0x80 {
            return Err(self.error(Rule::LengthNotMinimal));
        }
        Ok((tag, 2 + count, length))
    }
}

/// X.690 §8.3.2: the first nine bits are never all equal.
#[inline]
pub(crate) fn check_integer(content: &[u8], most: usize) -> Result<(), Rule> {
    match content {
        [] => Err(Rule::IntegerEmpty),
        [0x00, second, ..] if second & 0x80 == 0 => Err(Rule::IntegerNotMinimal),
        [0xff, second, ..] if second & 0x80 != 0 => Err(Rule::IntegerNotMinimal),
        _ if content.len() > most => Err(Rule::IntegerTooLong),
        _ => Ok(()),
    }
}
