//! BLAKE3 digests, which name every published file, and the hexadecimal digits that people see of them.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// The BLAKE3 of a whole file: its name in `objects/`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes `octets`.
    pub fn of(octets: &[u8]) -> Digest {
        Digest(*blake3::hash(octets).as_bytes())
    }

    /// From its 32 octets.
    pub fn from_octets(octets: [u8; 32]) -> Digest {
        Digest(octets)
    }

    /// From 64 lower-case hexadecimal digits.
    pub fn from_hex(digits: &str) -> Option<Digest> {
        decode_hex(digits).map(Digest)
    }

    /// Its 32 octets.
    pub fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Digest {
        Digest(*hash.as_bytes())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        encode_hex(&digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Digest, &'static str> {
        Digest::from_hex(&digits).ok_or("a digest is 64 lower-case hexadecimal digits")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The lower-case digits of `octets`.
pub fn encode_hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        write!(text, "{octet:02x}").expect("writing to a String cannot fail");
    }
    text
}

/// Exactly `N` octets from exactly `2 N` lower-case digits; a name has one spelling only.
pub fn decode_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut octets = [0; N];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(octets)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_name_are_not_both_accepted() {
        assert_eq!(decode_hex::<2>("0aff"), Some([0x0a, 0xff]));
        assert_eq!(decode_hex::<2>("0AFF"), None);
        assert_eq!(decode_hex::<2>("0af"), None);
        assert_eq!(decode_hex::<2>("0aff0"), None);
        assert_eq!(encode_hex(&[0x0a, 0xff]), "0aff");
    }
}
