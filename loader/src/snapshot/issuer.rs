//! The packs of one issuer, in the order in which they answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::IssuerId;
use wire::serial::SerialHashKey;
use wire::time::UnixSeconds;

use super::misfit;
use crate::error::{Misfit, OpenError};
use crate::pack::{Pack, Variant};

/// The packs of one issuer.
pub(super) struct Issuer {
    pub(super) id: IssuerId,
    pub(super) hash_key: SerialHashKey,
    pub(super) shards: u32,
    /// Newest first.
    pub(super) deltas: Vec<Arc<Pack>>,
    /// By shard; a shard whose first batch has not come yet has none.
    pub(super) bases: Vec<Base>,
}

/// The base pack of a shard, and how many deltas are asked before it.
pub(super) struct Base {
    pub(super) pack: Option<Arc<Pack>>,
    /// Deltas at least as new as the base, all of them where there is none. The others speak of a time before it, and
    /// are not asked: a serial that the base lacks is no longer answered for.
    pub(super) deltas_before: usize,
}

/// Sorts packs by issuer and age, and checks that those of one issuer can be asked together.
pub(super) fn group<'p>(
    packs: impl Iterator<Item = &'p Arc<Pack>>,
) -> Result<Vec<Issuer>, OpenError> {
    let mut by_issuer: BTreeMap<IssuerId, Vec<Arc<Pack>>> = BTreeMap::new();
    for pack in packs {
        by_issuer
            .entry(pack.issuer())
            .or_default()
            .push(Arc::clone(pack));
    }
    by_issuer.into_values().map(Issuer::of).collect()
}

impl Issuer {
    /// `packs` is not empty and of one issuer.
    fn of(packs: Vec<Arc<Pack>>) -> Result<Issuer, OpenError> {
        let id = packs[0].issuer();
        let hash_key = *packs[0].hash_key();
        if packs.iter().any(|pack| *pack.hash_key() != hash_key) {
            return Err(misfit(id, Misfit::HashKey));
        }
        let (mut deltas, base_packs): (Vec<_>, Vec<_>) =
            packs.into_iter().partition(|pack| pack.is_delta());
        deltas.sort_by_key(|pack| std::cmp::Reverse(pack.age()));
        let shards = base_packs.first().map_or(1, |pack| pack.shards().0);
        let mut bases: Vec<Base> = Vec::new();
        bases.resize_with(shards as usize, || Base {
            pack: None,
            deltas_before: deltas.len(),
        });
        for pack in base_packs {
            if pack.shards().0 != shards {
                return Err(misfit(id, Misfit::Shards));
            }
            let base = &mut bases[pack.shards().1 as usize];
            base.deltas_before = deltas.partition_point(|delta| delta.age() >= pack.age());
            if base.pack.replace(pack).is_some() {
                return Err(misfit(id, Misfit::ShardTwice));
            }
        }
        Ok(Issuer {
            id,
            hash_key,
            shards,
            deltas,
            bases,
        })
    }

    /// Every pack, newest deltas first.
    pub(super) fn packs(&self) -> impl Iterator<Item = &Arc<Pack>> {
        self.deltas
            .iter()
            .chain(self.bases.iter().filter_map(|base| base.pack.as_ref()))
    }

    pub(super) fn info(&self) -> IssuerInfo<'_> {
        let newest = self
            .packs()
            .max_by_key(|pack| pack.age())
            .expect("an issuer has a pack");
        // A delta from before an algorithm was enabled may be newer than the base packs that have it already.
        let fullest = self
            .packs()
            .max_by_key(|pack| (pack.shared().variants.len(), pack.age()))
            .unwrap_or(newest);
        let windows = || self.packs().flat_map(|pack| pack.windows());
        IssuerInfo {
            id: self.id,
            issuer_certificate: &newest.shared().issuer_certificate,
            variants: &fullest.shared().variants,
            packs: self.packs().count(),
            records: self.packs().map(|pack| pack.record_count()).sum(),
            oldest_this_update: self.packs().flat_map(own_windows).min(),
            newest_this_update: windows().map(|window| window.this_update).max(),
            soonest_next_update: windows().map(|window| window.next_update).min(),
            responder_not_after: SignatureAlgorithm::ALL
                .into_iter()
                .filter_map(|algorithm| self.newest_responder_end(algorithm))
                .min(),
            repeats_list: newest.crl_blake3().is_some(),
            replayed_as_of: self.packs().find_map(|pack| pack.as_of()),
        }
    }
}

impl Issuer {
    /// When the responder certificate ends that signs the newest windows with this algorithm, of the newest pack that has it.
    fn newest_responder_end(&self, algorithm: SignatureAlgorithm) -> Option<UnixSeconds> {
        let has_it = |pack: &&Arc<Pack>| {
            let mut variants = pack.shared().variants.iter();
            variants.any(|variant| variant.algorithm == algorithm)
        };
        let pack = self.packs().filter(has_it).max_by_key(|pack| pack.age())?;
        let window = pack.windows().max_by_key(|window| window.this_update)?;
        let shared = pack.shared();
        let slots = usize::from(shared.slots).max(1);
        let group = shared.responders.chunks(slots).nth(window.group.into())?;
        let signing = group
            .iter()
            .filter(|responder| responder.algorithm == algorithm);
        signing.map(|responder| responder.not_after).min()
    }
}

/// thisUpdate of what a pack says of living certificates. A batch is signed in its first window; in those behind it a base
/// pack has what was signed earlier, of certificates that have expired. A delta may be joined of several batches.
fn own_windows(pack: &Arc<Pack>) -> impl Iterator<Item = UnixSeconds> {
    let own = if pack.is_delta() { usize::MAX } else { 1 };
    pack.windows().take(own).map(|window| window.this_update)
}

/// What a snapshot holds of one issuer.
#[derive(Debug, Clone)]
pub struct IssuerInfo<'s> {
    /// Hash of its name and key.
    pub id: IssuerId,
    /// Its certificate, DER, from the newest pack.
    pub issuer_certificate: &'s [u8],
    /// What is signed ahead, from the pack that has most of it; of several that have as much, the newest.
    pub variants: &'s [Variant],
    /// Base and delta packs.
    pub packs: usize,
    /// Records in all of them; a serial in several packs counts in each.
    pub records: u64,
    /// The oldest thisUpdate of what is said of living certificates; its age is what the operator watches. None without records.
    pub oldest_this_update: Option<UnixSeconds>,
    /// thisUpdate of the window that begins last.
    pub newest_this_update: Option<UnixSeconds>,
    /// nextUpdate of the window that ends first.
    pub soonest_next_update: Option<UnixSeconds>,
    /// notAfter of the responder certificate that ends first, of those that signed the newest window with each algorithm.
    pub responder_not_after: Option<UnixSeconds>,
    /// Another authority's: its answers repeat a CRL, and end with it.
    pub repeats_list: bool,
    /// The clock by which its CRL was judged, if that was not the present one.
    pub replayed_as_of: Option<UnixSeconds>,
}
