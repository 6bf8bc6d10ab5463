//! Delta lists (RFC 5280 §5.2.4): is this one that CA's, and what does it change of which full list?

use std::collections::BTreeMap;

use wire::crl::Crl;
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;

use super::certificate::Certificate;
use super::check::{EntryFault, refuse_foreign};
use super::crl::{Judging, Wanted, check_dates, check_issuer, check_scope, refuse_indirect};
use super::file::unsigned;
use super::listed::say_the_same;
use super::refusal::CrlRefusal;

/// A delta that passed: only [`Delta::judge`] makes one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delta<'a> {
    /// The list.
    pub crl: Crl<'a>,
    /// What it says of each serial: a status, or none where it clears.
    changes: BTreeMap<Serial, Option<CertStatus>>,
    /// What is unusual but allowed, in sentences.
    pub odd: Vec<String>,
}

/// Why a delta does not change a full list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// One of them has no number.
    #[error("a delta and its base need numbers (RFC 5280 §5.2.4)")]
    NoNumber,
    /// The delta changes a later list.
    #[error("the full list is older than the base that the delta names (RFC 5280 §5.2.4 (c))")]
    BaseTooOld,
    /// The full list says more than the delta.
    #[error("the full list is newer than the delta (RFC 5280 §5.2.4 (d))")]
    DeltaTooOld,
    /// Numbers and dates do not rise together.
    #[error(
        "the delta is numbered after the full list and dated before it (RFC 5280 §5.2.3: numbers rise with time)"
    )]
    OutOfTurn,
    /// Another distribution point, kind of certificates or set of reasons.
    #[error("they have different issuing distribution points (RFC 5280 §5.2.4)")]
    OtherScope,
    /// Another issuer or key.
    #[error("they are signed by different keys (RFC 5280 §5.2.4)")]
    OtherKey,
}

impl<'a> Delta<'a> {
    /// Judges `der` against the certificate of its alleged issuer.
    pub fn judge(
        der: &'a [u8],
        issuer: &Certificate,
        judging: &Judging,
    ) -> Result<Self, CrlRefusal> {
        let crl = Crl::parse(der)?;
        let mut odd = Vec::new();
        check_issuer(&crl, issuer, &mut odd)?;
        let algorithm = super::trust::recognise(crl.algorithm)?;
        issuer
            .key
            .verify(algorithm, judging.weak, crl.tbs, crl.signature)?;
        check_dates(&crl, issuer, judging, &mut odd)?;
        check_scope(&crl, Wanted::Delta, &mut odd)?;
        refuse_indirect(&crl)?;
        let changes = changes(&crl)?;
        Ok(Self { crl, changes, odd })
    }

    /// Reads one whose signature was verified before.
    pub fn read(der: &'a [u8]) -> Result<Self, CrlRefusal> {
        let crl = Crl::parse(der)?;
        let changes = changes(&crl)?;
        let odd = Vec::new();
        Ok(Self { crl, changes, odd })
    }

    /// What it says of a serial, if it says anything: a status, or none where it clears.
    pub fn get(&self, serial: &Serial) -> Option<Option<CertStatus>> {
        self.changes.get(serial).copied()
    }

    /// Everything it says.
    pub fn changes(&self) -> impl Iterator<Item = (&Serial, &Option<CertStatus>)> {
        self.changes.iter()
    }
}

/// One word a serial: the latest date counts, as in full lists.
fn changes(crl: &Crl<'_>) -> Result<BTreeMap<Serial, Option<CertStatus>>, EntryFault> {
    let mut said: Vec<(Serial, UnixSeconds, CertStatus)> = Vec::new();
    for (place, entry) in crl.entries().enumerate() {
        let number = place + 1;
        let entry = entry.map_err(|error| EntryFault::Decode { number, error })?;
        refuse_foreign(&entry, number)?;
        let status = CertStatus::Revoked {
            at: entry.revoked_at,
            reason: entry.reason,
        };
        said.push((entry.serial, entry.revoked_at, status));
    }
    said.sort_unstable_by_key(|(serial, at, _)| (*serial, *at));
    for pair in said.windows(2) {
        let ((serial, at, one), (other_serial, other_at, other)) = (pair[0], pair[1]);
        if (serial, at) == (other_serial, other_at) && !say_the_same(one, other) {
            return Err(EntryFault::Contradiction { serial, at });
        }
    }
    let word = |(serial, _, status): (Serial, UnixSeconds, CertStatus)| {
        // RFC 5280 §5.2.4: removeFromCRL takes a serial off that was on hold, or whose certificate expired.
        let clears = matches!(
            status,
            CertStatus::Revoked {
                reason: Some(RevocationReason::RemoveFromCrl),
                ..
            }
        );
        (serial, (!clears).then_some(status))
    };
    // In order of their dates: the last one stays.
    Ok(said.into_iter().map(word).collect())
}

/// Whether a delta may be put together with a full list, both judged already.
// RFC 5280 §5.2.4: same issuer, key and scope; the full list is not older than the base and not newer than the delta.
pub fn fits(full: &Crl<'_>, delta: &Crl<'_>) -> Result<(), Misfit> {
    let (full_says, delta_says) = (&full.extensions, &delta.extensions);
    if full.issuer != delta.issuer
        || full_says.authority_key_identifier != delta_says.authority_key_identifier
    {
        return Err(Misfit::OtherKey);
    }
    if full_says.distribution_point != delta_says.distribution_point {
        return Err(Misfit::OtherScope);
    }
    let (Some(full), Some(number), Some(base)) =
        (full_says.number, delta_says.number, delta_says.base_number)
    else {
        return Err(Misfit::NoNumber);
    };
    let (full, number, base) = (unsigned(full), unsigned(number), unsigned(base));
    if full < base {
        return Err(Misfit::BaseTooOld);
    }
    if full > number {
        return Err(Misfit::DeltaTooOld);
    }
    Ok(())
}

/// Whether a delta that [`fits`] was also written after the full list, as its number says. Of the lists of another authority
/// only: our own clock may be set back.
// RFC 5280 §5.2.3: of two lists of one scope the later one has the higher number.
pub fn is_in_turn(full: &Crl<'_>, delta: &Crl<'_>) -> Result<(), Misfit> {
    if !is_of_one_number(full, delta) && delta.this_update < full.this_update {
        return Err(Misfit::OutOfTurn);
    }
    Ok(())
}

/// Whether both bear one number: written at one time, they must say the same (RFC 5280 §5.2.3).
pub fn is_of_one_number(full: &Crl<'_>, delta: &Crl<'_>) -> bool {
    full.extensions.number.map(unsigned) == delta.extensions.number.map(unsigned)
}
