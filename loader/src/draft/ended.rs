//! Delta lists that ended leave the generation by themselves.

use wire::crl::Crl;
use wire::time::UnixSeconds;

use super::Draft;
use crate::manifest::{ObjectEntry, Role, SourceNote};
use crate::store::Store;

impl Draft {
    /// Drops our own registry's delta lists that are past their nextUpdate; whoever writes deltas replaces them long before.
    /// A complete list stays: that it ended is what an operator must see.
    // RFC 5280 §5.2.4: a delta past its nextUpdate changes no list any more; nobody misses it.
    pub fn drop_ended_deltas(&mut self, store: &Store, now: UnixSeconds) {
        let issuers = &self.issuers;
        let is_own = |entry: &ObjectEntry| {
            let note = issuers.iter().find(|note| note.issuer == entry.issuer);
            note.is_none_or(|note| note.source == SourceNote::Registry)
        };
        self.kept.retain(|entry| {
            let Role::Crl(note) = &entry.role else {
                return true;
            };
            let has_ended = note.expires.is_some_and(|end| end <= now);
            !(has_ended && is_own(entry) && is_delta(store, entry))
        });
    }
}

/// Read from the store: of lists that ended, so hardly ever.
fn is_delta(store: &Store, entry: &ObjectEntry) -> bool {
    std::fs::read(store.object(entry.blake3))
        .is_ok_and(|octets| Crl::parse(&octets).is_ok_and(|crl| crl.is_delta()))
}
