//! From the octets of a `CertID` before the serial to the issuer, and to the variant in each of its packs.
//!
//! A small open-addressing table over the last octets of the prefix, which are a cryptographic hash of the issuer's key:
//! they need no further hashing, and as the table never changes after opening, nobody can crowd it by asking.

use super::issuer::Issuer;
use super::misfit;
use crate::error::{Misfit, OpenError};
use crate::pack::Pack;

/// One form of `CertID` of one issuer.
pub(super) struct Entry {
    prefix: Box<[u8]>,
    /// Index of the issuer.
    pub(super) issuer: usize,
    /// Which signature of a record is the authority's own in this form, in each delta.
    pub(super) delta_variants: Box<[VariantIn]>,
    /// The same in each base pack, by shard.
    pub(super) base_variants: Box<[VariantIn]>,
}

/// The number of a form's variant in a pack, of several algorithms that of the lowest slot; packs made before the form was
/// enabled have none. What a client would rather have is looked for in the pack's own table ([`Wish`]).
///
/// [`Wish`]: super::Wish
pub(super) type VariantIn = Option<u8>;

/// All forms of all issuers.
pub(super) struct PrefixTable {
    entries: Vec<Entry>,
    /// Index into `entries` plus one, zero for a free place; a power of two of them, at least four times the entries.
    places: Box<[u32]>,
}

impl PrefixTable {
    pub(super) fn build(issuers: &[Issuer]) -> Result<PrefixTable, OpenError> {
        let mut table = PrefixTable {
            entries: Vec::new(),
            places: Box::default(),
        };
        let variants = issuers
            .iter()
            .flat_map(|issuer| issuer.packs())
            .map(|pack| pack.shared().variants.len());
        let count: usize = variants.sum();
        table.places = vec![0; (count * 4).next_power_of_two()].into_boxed_slice();
        for (index, issuer) in issuers.iter().enumerate() {
            for variant in issuer.packs().flat_map(|pack| &pack.shared().variants) {
                match table.find(&variant.prefix) {
                    None => table.insert(&variant.prefix, index, issuer),
                    Some(entry) if entry.issuer == index => {}
                    // Same name, same key bits, another algorithm identifier: nobody could tell whose answer it is.
                    Some(_) => return Err(misfit(issuer.id, Misfit::Prefix)),
                }
            }
        }
        Ok(table)
    }

    fn insert(&mut self, prefix: &[u8], index: usize, issuer: &Issuer) {
        let variant_in = |pack: &Pack| {
            let variants = (0_u8..).zip(&pack.shared().variants);
            variants
                .filter(|(_, variant)| *variant.prefix == *prefix)
                .min_by_key(|(_, variant)| variant.slot)
                .map(|(number, _)| number)
        };
        self.entries.push(Entry {
            prefix: prefix.into(),
            issuer: index,
            delta_variants: issuer.deltas.iter().map(|pack| variant_in(pack)).collect(),
            base_variants: issuer
                .bases
                .iter()
                .map(|base| base.pack.as_ref().and_then(|pack| variant_in(pack)))
                .collect(),
        });
        let mut place = self.place(prefix);
        while self.places[place] != 0 {
            place = (place + 1) & (self.places.len() - 1);
        }
        self.places[place] = u32::try_from(self.entries.len()).expect("sixteen variants a pack");
    }

    /// The entry of a prefix.
    #[inline]
    pub(super) fn find(&self, prefix: &[u8]) -> Option<&Entry> {
        let mut place = self.place(prefix);
        loop {
            let index = (*self.places.get(place)?).checked_sub(1)?;
            let entry = self.entries.get(index as usize)?;
            if *entry.prefix == *prefix {
                return Some(entry);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }

    #[inline]
    fn place(&self, prefix: &[u8]) -> usize {
        let tail = prefix
            .last_chunk::<8>()
            .map_or(0, |tail| u64::from_le_bytes(*tail));
        // The forms of one issuer that differ in parameters only share the tail, not the length.
        let mixed = (tail ^ prefix.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.places.len().wrapping_sub(1))
    }
}
