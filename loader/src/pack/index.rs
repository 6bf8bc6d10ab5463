//! Where a serial lies in a pack: pure functions on numbers and slices.

use wire::serial::{MAX_SERIAL_OCTETS, Serial, SerialHashKey, shard};

/// A serial, prepared once for every pack of its issuer: one hash, one sign extension.
#[derive(Debug, Clone, Copy)]
pub struct Needle {
    /// The keyed hash of the content octets: in a delta, the place itself.
    pub hash: u64,
    /// What [`filter_bits`] says of that place.
    pub filter_bits: u64,
    serial: Serial,
}

impl Needle {
    /// From the content octets of a request's serial; `None` if no record can hold it: too long, or not in shortest
    /// form.
    #[inline]
    pub fn new(key: &SerialHashKey, content: &[u8]) -> Option<Needle> {
        let hash = key.hash(content);
        Some(Needle {
            hash,
            filter_bits: filter_bits(hash),
            serial: Serial::from_content(content).ok()?,
        })
    }

    /// The serial as records of `octets` width hold it; `None` if it is longer.
    #[inline]
    pub fn padded(&self, octets: usize) -> Option<&[u8]> {
        self.serial.padded(octets)
    }

    /// Shard and place within it.
    #[inline]
    pub fn shard(&self, shards: u32) -> (u32, u64) {
        shard(self.hash, shards)
    }
}

/// The bucket of a place: its top part, scaled to the number of buckets.
#[inline]
pub fn bucket(rest: u64, buckets: u64) -> u64 {
    let scaled = (u128::from(rest) * u128::from(buckets)) >> 64;
    u64::try_from(scaled).expect("the high half of a product of two u64 fits u64")
}

/// The four bits a record sets in its bucket's filter word. They come from the low end of the place; the bucket comes
/// from the high end, so the two are independent. With four records a word, 4 in 1,000 serials that are not there pass.
#[inline]
pub fn filter_bits(rest: u64) -> u64 {
    let bit = |shift: u32| 1_u64 << ((rest >> shift) & 63);
    bit(0) | bit(6) | bit(12) | bit(18)
}

/// More records than this in one bucket never happen with an honest key: the chance is below 10^-50 at any size. The
/// writer refuses them and the reader does not walk them, so a forged directory costs bounded work.
pub const MAX_BUCKET_RECORDS: u32 = 64;

const _: () = assert!(MAX_SERIAL_OCTETS <= u8::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_is_in_the_last_bucket_and_not_behind_it() {
        for buckets in [1, 2, 3, 1000, u64::from(u32::MAX)] {
            assert_eq!(bucket(0, buckets), 0);
            assert_eq!(bucket(u64::MAX, buckets), buckets - 1);
        }
    }

    #[test]
    fn buckets_rise_with_places() {
        let places = (0..1000_u64).map(|i| i.wrapping_mul(u64::MAX / 1000));
        let buckets: Vec<u64> = places.map(|rest| bucket(rest, 77)).collect();
        assert!(buckets.is_sorted());
    }
}
