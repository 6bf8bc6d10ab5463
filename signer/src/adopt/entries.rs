//! What a foreign list says in the end of each serial.
//!
//! A serial may recur (hold, release, revoke): the latest revocationDate wins, removeFromCRL clears. Two entries of one
//! serial and date that disagree have no order, so such a list is refused whole.

use super::Refusal;
use super::whose::Attribution;
use crate::batch::Row;
use wire::crl::Crl;
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;
use x509_parser::x509::X509Name;

/// What a list says in the end.
#[derive(Debug)]
pub struct Settled {
    /// What is revoked, in order of serials.
    pub rows: Vec<Row>,
    /// Serials that stand on the list more than once.
    pub repeated: u64,
    /// Entries that clear (removeFromCRL), be it for good or until a later one.
    pub cleared: u64,
    /// Entries about certificates of other authorities, left out.
    pub others: u64,
    /// Serials that are cleared in the end: what a delta takes off its complete list. Rising.
    pub gone: Vec<Serial>,
}

/// The serials of this authority that are revoked in the end.
///
/// # Errors
/// [`Refusal`] if an entry cannot be read, is about another issuer, or contradicts another one.
pub(super) fn settle(crl: &Crl<'_>, authority: &X509Name<'_>) -> Result<Settled, Refusal> {
    let mut entries = Vec::with_capacity(crl.entries_octets() / SHORT_ENTRY_OCTETS);
    let mut whose = Attribution::begin(crl, authority);
    let mut others = 0;
    for entry in crl.entries() {
        let entry = entry.map_err(Refusal::Unreadable)?;
        let is_ours = whose.is_ours(entry.serial, entry.certificate_issuer)?;
        if entry.unknown_critical.is_some() {
            return Err(Refusal::CriticalEntry(entry.serial));
        }
        if !is_ours {
            others += 1;
            continue;
        }
        entries.push(Entry {
            serial: entry.serial,
            at: entry.revoked_at,
            reason: entry.reason,
        });
    }
    entries.sort_unstable_by_key(|entry| (entry.serial, entry.at));
    let mut settled = Settled {
        rows: Vec::with_capacity(entries.len()),
        repeated: 0,
        cleared: 0,
        others,
        gone: Vec::new(),
    };
    for group in entries.chunk_by(|one, other| one.serial == other.serial) {
        settled.repeated += u64::from(group.len() > 1);
        let clearing = |entry: &&Entry| entry.reason == Some(RevocationReason::RemoveFromCrl);
        settled.cleared += group.iter().filter(clearing).count() as u64;
        match (last_word(group)?, group.first()) {
            (Some(row), _) => settled.rows.push(row),
            (None, Some(first)) => settled.gone.push(first.serial),
            (None, None) => {}
        }
    }
    Ok(settled)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    serial: Serial,
    at: UnixSeconds,
    reason: Option<RevocationReason>,
}

/// Of entries of one serial in order of dates.
fn last_word(group: &[Entry]) -> Result<Option<Row>, Refusal> {
    for pair in group.windows(2) {
        if let [one, other] = pair
            && one.at == other.at
            && plain(one.reason) != plain(other.reason)
        {
            return Err(Refusal::Contradiction(one.serial));
        }
    }
    let last = group
        .last()
        .filter(|last| last.reason != Some(RevocationReason::RemoveFromCrl));
    let row = last.map(|last| Row {
        serial: last.serial,
        status: CertStatus::Revoked {
            at: last.at,
            reason: last.reason,
        },
    });
    match row {
        Some(row) if row.status.time().is_none() => Err(Refusal::TooLate(row.serial)),
        row => Ok(row),
    }
}

/// RFC 5280 §5.3.1: unspecified should be said by leaving the reason out, so both say the same.
pub(super) fn plain(reason: Option<RevocationReason>) -> Option<RevocationReason> {
    reason.filter(|reason| *reason != RevocationReason::Unspecified)
}

/// Octets of an entry with a four-octet serial and nothing else: an upper bound on how many there are.
const SHORT_ENTRY_OCTETS: usize = 23;

#[cfg(test)]
mod tests {
    use super::*;
    use RevocationReason::{CertificateHold, KeyCompromise, RemoveFromCrl, Superseded};

    fn group(entries: &[(UnixSeconds, Option<RevocationReason>)]) -> Result<Option<Row>, Refusal> {
        let serial = Serial::from_content(&[7]).unwrap();
        let entries: Vec<_> = entries
            .iter()
            .map(|&(at, reason)| Entry { serial, at, reason })
            .collect();
        last_word(&entries)
    }

    fn status(row: Result<Option<Row>, Refusal>) -> Option<CertStatus> {
        row.unwrap().map(|row| row.status)
    }

    #[test]
    fn an_earlier_hold_does_not_hide_a_later_revocation() {
        let said = status(group(&[
            (1, Some(CertificateHold)),
            (2, Some(KeyCompromise)),
        ]));
        assert_eq!(
            said,
            Some(CertStatus::Revoked {
                at: 2,
                reason: Some(KeyCompromise)
            })
        );
    }

    #[test]
    fn a_released_hold_is_not_reported_revoked() {
        assert_eq!(
            status(group(&[
                (1, Some(CertificateHold)),
                (2, Some(RemoveFromCrl))
            ])),
            None
        );
        let again = [(1, Some(RemoveFromCrl)), (2, Some(Superseded))];
        assert!(status(group(&again)).is_some());
    }

    #[test]
    fn a_date_that_no_record_holds_is_found_when_all_is_recorded() {
        let last = u64::from(u32::MAX);
        assert!(status(group(&[(last, None)])).is_some());
        assert!(matches!(
            group(&[(last + 1, None)]),
            Err(Refusal::TooLate(_))
        ));
    }

    #[test]
    fn a_contradiction_is_not_resolved_by_chance() {
        let split = [
            (1, Some(CertificateHold)),
            (1, Some(RemoveFromCrl)),
            (2, None),
        ];
        assert!(matches!(group(&split), Err(Refusal::Contradiction(_))));
        assert!(matches!(
            group(&[(1, None), (1, Some(Superseded))]),
            Err(Refusal::Contradiction(_))
        ));
        assert!(
            status(group(&[(1, None), (1, None)])).is_some(),
            "the same said twice is no contradiction"
        );
        let unspecified = Some(RevocationReason::Unspecified);
        assert!(
            status(group(&[(1, None), (1, unspecified)])).is_some(),
            "unspecified is said by leaving the reason out"
        );
    }
}
