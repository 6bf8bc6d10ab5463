//! ECDSA-shaped signatures (ECDSA and SM2): r‖s of fixed width ↔ `SEQUENCE { r INTEGER, s INTEGER }`.

use alloc::vec;
use alloc::vec::Vec;

use crate::der::{Cursor, Reader, tag, tlv_len};
use crate::{DecodeError, Rule};

/// Octets of half a signature of the widest curve, P-521.
const MAX_HALF: usize = 66;

/// Octets of the longest DER form written here: two halves of P-521 with a sign octet each.
pub const MAX_ECDSA_DER_OCTETS: usize = tlv_len(2 * tlv_len(MAX_HALF + 1));

/// r‖s, each `half` octets, of a DER signature.
pub fn ecdsa_raw_from_der(der: &[u8], half: usize) -> Result<Vec<u8>, DecodeError> {
    if half > MAX_HALF {
        return Err(Rule::IntegerTooLong.at(0));
    }
    let mut outer = Reader::new(der);
    let mut halves = outer.sequence()?;
    outer.finish()?;
    let mut raw = vec![0; 2 * half];
    let (r, s) = raw.split_at_mut(half);
    for place in [r, s] {
        let integer = halves.integer(half + 1)?;
        let magnitude = match integer.content {
            [0, rest @ ..] if !rest.is_empty() => rest,
            [first, ..] if first & 0x80 != 0 => return Err(integer.error(Rule::FieldRange)),
            whole => whole,
        };
        half.checked_sub(magnitude.len())
            .and_then(|from| place.get_mut(from..))
            .ok_or(integer.error(Rule::IntegerTooLong))?
            .copy_from_slice(magnitude);
    }
    halves.finish()?;
    Ok(raw)
}

/// Writes r‖s as DER. Returns the octets written, or `None` if `out` is too small, `raw` has an odd length or halves
/// shorter than one octet or longer than 66.
pub fn ecdsa_der_from_raw(raw: &[u8], out: &mut [u8]) -> Option<usize> {
    if !raw.len().is_multiple_of(2) || raw.is_empty() || raw.len() > 2 * MAX_HALF {
        return None;
    }
    let length = ecdsa_der_len(raw);
    let mut cursor = Cursor::new(out.get_mut(..length)?);
    put_ecdsa(&mut cursor, raw);
    cursor.filled().then_some(length)
}

/// Octets of the DER form of r‖s.
#[inline]
pub fn ecdsa_der_len(raw: &[u8]) -> usize {
    let (r, s) = halves(raw);
    tlv_len(r.tlv_len() + s.tlv_len())
}

/// Writes r‖s as DER.
#[inline]
pub(crate) fn put_ecdsa(cursor: &mut Cursor<'_>, raw: &[u8]) {
    let (r, s) = halves(raw);
    cursor.header(tag::SEQUENCE, r.tlv_len() + s.tlv_len());
    r.put(cursor);
    s.put(cursor);
}

/// A non-negative number as an INTEGER: no leading zeros, one zero octet before a set top bit.
struct Magnitude<'a> {
    digits: &'a [u8],
    sign_octet: bool,
}

#[inline]
fn halves(raw: &[u8]) -> (Magnitude<'_>, Magnitude<'_>) {
    let (r, s) = raw.split_at_checked(raw.len() / 2).unwrap_or_default();
    (Magnitude::of(r), Magnitude::of(s))
}

impl<'a> Magnitude<'a> {
    #[inline]
    fn of(mut digits: &'a [u8]) -> Self {
        while let [0, rest @ ..] = digits {
            digits = rest;
        }
        // Zero itself is written as one zero octet, which is then the sign octet.
        let sign_octet = digits.first().is_none_or(|&first| first & 0x80 != 0);
        Self { digits, sign_octet }
    }

    #[inline]
    fn content_len(&self) -> usize {
        self.digits.len() + usize::from(self.sign_octet)
    }

    #[inline]
    fn tlv_len(&self) -> usize {
        tlv_len(self.content_len())
    }

    #[inline]
    fn put(&self, cursor: &mut Cursor<'_>) {
        cursor.header(tag::INTEGER, self.content_len());
        if self.sign_octet {
            cursor.put(&[0]);
        }
        cursor.put(self.digits);
    }
}
