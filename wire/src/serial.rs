//! The serial number of a certificate: an INTEGER's content octets, its order, its keyed hash and its shard.
//!
//! RFC 5280 §4.1.2.2 allows 20 octets and no negative numbers; real lists hold both, so neither is refused here.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use siphasher::sip::SipHasher13;

use crate::Rule;
use crate::der::check_integer;

/// Content octets of the longest serial taken.
pub const MAX_SERIAL_OCTETS: usize = 32;

/// A serial number. Ordered as a pack orders them: non-negative numbers first, each group by value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial {
    /// Sign-extended on the left, so that every width up to the full one is a tail of it.
    octets: [u8; MAX_SERIAL_OCTETS],
    /// Octets of the shortest form.
    len: u8,
}

impl Serial {
    /// From the content octets of an INTEGER in its shortest form.
    #[inline]
    pub fn from_content(content: &[u8]) -> Result<Self, Rule> {
        check_integer(content, MAX_SERIAL_OCTETS).map_err(too_long)?;
        Ok(Self::extend(content))
    }

    /// From the octets of a non-negative number, big endian, with or without leading zeros.
    pub fn from_unsigned(number: &[u8]) -> Result<Self, Rule> {
        let zeros = number.iter().take_while(|&&octet| octet == 0).count();
        let number = number.get(zeros..).unwrap_or_default();
        // One octet must stay free for the sign, or the number would read as negative.
        if number.len() > MAX_SERIAL_OCTETS
            || (number.len() == MAX_SERIAL_OCTETS && number.first().is_some_and(|&o| o >= 0x80))
        {
            return Err(Rule::SerialTooLong);
        }
        let mut octets = [0; MAX_SERIAL_OCTETS];
        if let Some(tail) = octets.get_mut(MAX_SERIAL_OCTETS - number.len()..) {
            tail.copy_from_slice(number);
        }
        Ok(Self::from_extended(octets))
    }

    /// From octets sign-extended to any width up to [`MAX_SERIAL_OCTETS`], as a record holds them.
    pub fn from_padded(padded: &[u8]) -> Result<Self, Rule> {
        if padded.is_empty() {
            return Err(Rule::IntegerEmpty);
        }
        if padded.len() > MAX_SERIAL_OCTETS {
            return Err(Rule::SerialTooLong);
        }
        Ok(Self::from_extended(Self::extend(padded).octets))
    }

    /// The content octets of the INTEGER, in its shortest form.
    #[inline]
    pub fn content(&self) -> &[u8] {
        self.octets
            .get(MAX_SERIAL_OCTETS - usize::from(self.len)..)
            .unwrap_or_default()
    }

    /// Sign-extended to `width` octets; `None` if that is too narrow or wider than [`MAX_SERIAL_OCTETS`].
    #[inline]
    pub fn padded(&self, width: usize) -> Option<&[u8]> {
        if width < usize::from(self.len) {
            return None;
        }
        self.octets.get(MAX_SERIAL_OCTETS.checked_sub(width)?..)
    }

    /// True for numbers below zero, which RFC 5280 forbids and the world has.
    pub fn is_negative(&self) -> bool {
        self.octets.first().is_some_and(|&octet| octet >= 0x80)
    }

    /// `content` is not empty and at most [`MAX_SERIAL_OCTETS`] long.
    #[inline]
    fn extend(content: &[u8]) -> Self {
        let negative = content.first().is_some_and(|&octet| octet >= 0x80);
        let mut octets = if negative {
            [0xff; MAX_SERIAL_OCTETS]
        } else {
            [0; MAX_SERIAL_OCTETS]
        };
        let mut len = 0;
        if let Some(tail) = MAX_SERIAL_OCTETS
            .checked_sub(content.len())
            .and_then(|from| octets.get_mut(from..))
        {
            tail.copy_from_slice(content);
            #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
            let length = content.len() as u8;
            len = length;
        }
        Self { octets, len }
    }

    fn from_extended(octets: [u8; MAX_SERIAL_OCTETS]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
        let len = shortest(&octets).len() as u8;
        Self { octets, len }
    }
}

/// The shortest form of a sign-extended number: the content octets of its INTEGER.
#[inline]
pub fn shortest(mut padded: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = padded {
        match (first, rest) {
            (0x00, [second, ..]) if second & 0x80 == 0 => padded = rest,
            (0xff, [second, ..]) if second & 0x80 != 0 => padded = rest,
            _ => break,
        }
    }
    padded
}

/// Lower-case hexadecimal of the content octets, two digits each.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.content() {
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// Hexadecimal as `openssl x509 -serial` or people write it: the number, non-negative, in upper or lower case, with an
/// odd or even count of digits, colons between octets allowed. `Display` of a negative serial does not come back.
impl FromStr for Serial {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Self, Rule> {
        let digits: String = text.chars().filter(|&c| c != ':').collect();
        let mut octets = [0; MAX_SERIAL_OCTETS + 1];
        if digits.is_empty() {
            return Err(Rule::IntegerEmpty);
        }
        if digits.len() > 2 * octets.len() {
            return Err(Rule::SerialTooLong);
        }
        for (place, digit) in digits.bytes().rev().enumerate() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return Err(Rule::CodeUnknown),
            };
            if let Some(octet) = octets.iter_mut().rev().nth(place / 2) {
                *octet |= value << (4 * (place % 2));
            }
        }
        Self::from_unsigned(&octets)
    }
}

/// The key of the hash that spreads an issuer's serials over shards and pack buckets. One an issuer, drawn once: an
/// attacker who chooses serials must not choose buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialHashKey(pub [u8; 16]);

impl SerialHashKey {
    /// SipHash-1-3 over the content octets of the serial's INTEGER.
    #[inline]
    pub fn hash(&self, content: &[u8]) -> u64 {
        SipHasher13::new_with_key(&self.0).hash(content)
    }
}

/// The shard of a hash and what the hash says within it. Monotone: sorting all by (shard, rest) is sorting by hash.
/// `shards` of zero counts as one.
#[inline]
pub fn shard(hash: u64, shards: u32) -> (u32, u64) {
    let product = u128::from(hash) * u128::from(shards.max(1));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the high half is below `shards`; the low half is what is wanted"
    )]
    let split = ((product >> 64) as u32, product as u64);
    split
}

fn too_long(rule: Rule) -> Rule {
    match rule {
        Rule::IntegerTooLong => Rule::SerialTooLong,
        other => other,
    }
}

#[cfg(test)]
mod tests;
