//! What an issuer's packs answer, as a responder would, and how two statuses are compared.

use std::collections::HashSet;

use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

use crate::pack::index::Needle;
use crate::pack::{Find, Pack};
use crate::staged::rfc3339;

/// An issuer's packs, newest first, a delta as new as a base before it.
#[derive(Clone, Copy)]
pub struct Answers<'p> {
    packs: &'p [&'p Pack],
    lost: &'p [Lost],
}

/// A pack that cannot be opened. What it says nobody knows, nor what older ones say in its stead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Its revision and batch.
    pub age: (u64, u64),
    /// Number of shards and which of them; none for a delta, which may speak of any serial.
    pub shard: Option<(u32, u32)>,
}

/// What the packs say of a serial.
enum Found<'p> {
    Here(&'p Pack, CertStatus),
    Nowhere,
    /// Whatever a lost one says.
    Hidden,
}

impl<'p> Answers<'p> {
    /// Of packs in that order.
    pub fn of(packs: &'p [&'p Pack]) -> Self {
        Self { packs, lost: &[] }
    }

    /// The same where others are there that cannot be opened.
    pub fn beside(self, lost: &'p [Lost]) -> Self {
        Self { lost, ..self }
    }

    /// What is answered for a serial, and by which pack.
    pub fn find(&self, serial: &Serial) -> Option<(&'p Pack, CertStatus)> {
        match self.look(serial) {
            Found::Here(pack, status) => Some((pack, status)),
            Found::Nowhere | Found::Hidden => None,
        }
    }

    /// Whether what is answered for a serial stands in a pack that cannot be opened, or may.
    pub fn is_hidden(&self, serial: &Serial) -> bool {
        matches!(self.look(serial), Found::Hidden)
    }

    fn look(&self, serial: &Serial) -> Found<'p> {
        let Some(first) = self.packs.first() else {
            return match self.lost {
                [] => Found::Nowhere,
                _ => Found::Hidden,
            };
        };
        let Some(needle) = Needle::new(first.hash_key(), serial.content()) else {
            return Found::Nowhere;
        };
        let may_say = |lost: &&Lost| {
            let is_its = |(shards, shard)| needle.shard(shards).0 == shard;
            lost.shard.is_none_or(is_its)
        };
        let lost = self.lost.iter().filter(may_say);
        let lost = lost.map(|lost| (lost.age, lost.shard.is_none())).max();
        for pack in self.packs {
            if lost.is_some_and(|lost| lost > (pack.age(), pack.is_delta())) {
                return Found::Hidden;
            }
            if let Find::Here(record) = pack.find(&needle) {
                let status = record.status();
                return status.map_or(Found::Nowhere, |status| Found::Here(pack, status));
            }
            // The base of its shard is whole: older deltas are not asked.
            let (shards, shard) = pack.shards();
            if !pack.is_delta() && needle.shard(shards).0 == shard {
                return Found::Nowhere;
            }
        }
        match lost {
            Some(_) => Found::Hidden,
            None => Found::Nowhere,
        }
    }

    /// Every serial answered `revoked`, and by which pack.
    pub fn revoked(&self) -> Vec<(Serial, &'p Pack, CertStatus)> {
        self.revoked_in(self.packs)
    }

    /// The same of those that stand in some of the packs.
    pub fn revoked_in(&self, packs: &[&'p Pack]) -> Vec<(Serial, &'p Pack, CertStatus)> {
        let mut seen = HashSet::new();
        let mut revoked = Vec::new();
        for pack in packs {
            for record in pack.records() {
                let Ok(CertStatus::Revoked { .. }) = record.status() else {
                    continue;
                };
                let Ok(serial) = Serial::from_padded(record.serial_padded()) else {
                    continue;
                };
                if let Some((pack, status @ CertStatus::Revoked { .. })) = self.find(&serial)
                    && seen.insert(serial)
                {
                    revoked.push((serial, pack, status));
                }
            }
        }
        revoked
    }
}

/// Whether both say the same. No reason and the reason `unspecified` are one: RFC 5280 §5.3.1 wants it left out of lists.
pub fn same(one: CertStatus, other: CertStatus) -> bool {
    let plain = |status| match status {
        CertStatus::Revoked {
            at,
            reason: Some(RevocationReason::Unspecified),
        } => CertStatus::Revoked { at, reason: None },
        status => status,
    };
    plain(one) == plain(other)
}

/// Only a hold ever ends, by release or by revocation for another reason, or begins anew.
pub fn may_follow(listed: CertStatus, answered: CertStatus) -> bool {
    let CertStatus::Revoked {
        at: held_at,
        reason: Some(RevocationReason::CertificateHold),
    } = listed
    else {
        return false;
    };
    match answered {
        CertStatus::Good => true,
        CertStatus::Revoked { at, reason } => {
            reason != Some(RevocationReason::CertificateHold) || at > held_at
        }
        CertStatus::Absent => false,
    }
}

/// For people.
pub fn status_text(status: CertStatus) -> String {
    match status {
        CertStatus::Good => "good".to_owned(),
        CertStatus::Absent => "absent".to_owned(),
        CertStatus::Revoked { at, reason } => {
            format!(
                "revoked {} ({})",
                rfc3339(at),
                reason.map_or("no reason", RevocationReason::name)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_every_pack_is_lost_a_serial_is_taken_for_one_that_no_pack_has() {
        let serial = crate::workshop::serial(7);
        assert!(!Answers::of(&[]).is_hidden(&serial));
        let age = (5, 1);
        for shard in [None, Some((4, 2))] {
            let lost = [Lost { age, shard }];
            let answers = Answers::of(&[]).beside(&lost);
            assert!(answers.is_hidden(&serial));
            assert!(answers.find(&serial).is_none());
        }
    }
}
