//! Several lists of one CA that speak together: a complete list and the delta that changes it, and partitions.
//!
//! The loader has put them into one folder, and by rules like these; the same is done here, so that neither believes the
//! other. Of one partition the delta has the last word. Of two partitions neither has: if they say different things of a
//! serial, none is adopted.

use super::entries::{Settled, plain, settle};
use super::whose::scope_of;
use super::{Refusal, magnitude};
use crate::batch::Row;
use std::collections::BTreeMap;
use wire::crl::Crl;
use wire::serial::Serial;
use wire::status::CertStatus;
use wire::time::UnixSeconds;
use x509_parser::x509::X509Name;

/// A complete list, and its delta if there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'c, 'a> {
    pub(super) full: &'c Crl<'a>,
    pub(super) delta: Option<&'c Crl<'a>>,
}

/// What lists say together.
pub(super) struct Word {
    /// What is revoked, in order of serials.
    pub(super) rows: Vec<Row>,
    /// Serials that stand on a list more than once.
    pub(super) repeated: u64,
    /// Entries that clear.
    pub(super) cleared: u64,
    /// Entries about certificates of others.
    pub(super) others: u64,
}

/// Which of these lists belong together.
// RFC 5280 §5.2.4, §5.2.5: a delta changes a complete list of the same scope; the distribution point tells partitions apart.
pub(super) fn parts<'c, 'a>(lists: &'c [Crl<'a>]) -> Result<Vec<Part<'c, 'a>>, Refusal> {
    let mut scopes: BTreeMap<Vec<u8>, [Option<&Crl<'a>>; 2]> = BTreeMap::new();
    for list in lists {
        let [full, delta] = scopes.entry(scope_of(list)).or_default();
        let place = if list.is_delta() { delta } else { full };
        if place.replace(list).is_some() {
            return Err(Refusal::ScopeTwice);
        }
    }
    if scopes.len() > 1 && scopes.contains_key(&[][..]) {
        return Err(Refusal::WholeBesidePartition);
    }
    let part = |[full, delta]: [Option<&'c Crl<'a>>; 2]| -> Result<Part<'c, 'a>, Refusal> {
        let full = full.ok_or(Refusal::Delta)?;
        if let Some(delta) = delta {
            fits(full, delta)?;
        }
        Ok(Part { full, delta })
    };
    scopes.into_values().map(part).collect()
}

/// Whether a delta changes this list.
// RFC 5280 §5.2.4: same issuer, key and scope; the full list is not older than the base and not newer than the delta.
fn fits(full: &Crl<'_>, delta: &Crl<'_>) -> Result<(), Refusal> {
    let (one, other) = (&full.extensions, &delta.extensions);
    let dates = (full.this_update, delta.this_update);
    if full.issuer != delta.issuer || one.authority_key_identifier != other.authority_key_identifier
    {
        return Err(Refusal::Misfit("it is of another key"));
    }
    let (Some(full), Some(number), Some(base)) = (one.number, other.number, other.base_number)
    else {
        return Err(Refusal::Misfit("one of them has no number"));
    };
    if magnitude(full) < magnitude(base) {
        return Err(Refusal::Misfit("it changes a later list"));
    }
    if magnitude(full) > magnitude(number) {
        return Err(Refusal::Misfit("it is older than the list"));
    }
    // RFC 5280 §5.2.3: of two lists of one scope the later one has the higher number.
    if magnitude(full) < magnitude(number) && dates.1 < dates.0 {
        return Err(Refusal::Misfit(
            "it is numbered after the list and dated before it",
        ));
    }
    Ok(())
}

impl Part<'_, '_> {
    /// Whether list and delta bear one number.
    fn is_of_one_number(&self) -> bool {
        let number = |list: &Crl<'_>| list.extensions.number.map(|it| magnitude(it).1.to_vec());
        self.delta
            .is_some_and(|delta| number(delta) == number(self.full))
    }

    /// The day of which they speak together.
    pub(super) fn this_update(&self) -> UnixSeconds {
        let delta = self.delta.map_or(0, |delta| delta.this_update);
        self.full.this_update.max(delta)
    }

    /// The number they reach together.
    pub(super) fn number(&self) -> Option<Vec<u8>> {
        let delta = self.delta.and_then(|delta| delta.extensions.number);
        let numbers = self.full.extensions.number.into_iter().chain(delta);
        numbers
            .max_by_key(|number| magnitude(number))
            .map(<[u8]>::to_vec)
    }
}

/// What all of them say in the end of the authority's certificates.
///
/// # Errors
/// [`Refusal`] if an entry cannot be read, or two contradict each other.
pub(super) fn say(parts: &[Part<'_, '_>], authority: &X509Name<'_>) -> Result<Word, Refusal> {
    let mut word = Word {
        rows: Vec::new(),
        repeated: 0,
        cleared: 0,
        others: 0,
    };
    for part in parts {
        let full = settle(part.full, authority)?;
        let delta = part.delta.map(|delta| settle(delta, authority));
        let delta = delta.transpose()?;
        for list in std::iter::once(&full).chain(&delta) {
            word.repeated += list.repeated;
            word.cleared += list.cleared;
            word.others += list.others;
        }
        let rows = match delta {
            None => full.rows,
            Some(delta) if part.is_of_one_number() => repeated(full, &delta)?,
            Some(delta) => changed(full, delta),
        };
        match word.rows.is_empty() {
            true => word.rows = rows,
            false => word.rows.extend(rows),
        }
    }
    if parts.len() > 1 {
        unite(&mut word.rows)?;
    }
    Ok(word)
}

/// A complete list whose delta bears the same number, and so must say the same.
// RFC 5280 §5.2.3: a delta of its complete list's own number says the same.
fn repeated(full: Settled, delta: &Settled) -> Result<Vec<Row>, Refusal> {
    let listed = |serial: &Serial| {
        let found = full.rows.binary_search_by_key(serial, |row| row.serial);
        found.ok().and_then(|at| full.rows.get(at))
    };
    let differs = |row: &&Row| {
        !listed(&row.serial).is_some_and(|listed| say_the_same(listed.status, row.status))
    };
    let revoked = delta.rows.iter().find(differs).map(|row| row.serial);
    let gone = delta.gone.iter().find(|serial| listed(serial).is_some());
    match revoked.or(gone.copied()) {
        Some(serial) => Err(Refusal::OneNumber(serial)),
        None => Ok(full.rows),
    }
}

/// A complete list with its delta's changes, in order of serials.
// RFC 5280 §5.2.4: removeFromCRL takes off the complete list what stood there.
fn changed(full: Settled, delta: Settled) -> Vec<Row> {
    let speaks_of = |serial: &Serial| {
        let revokes = delta.rows.binary_search_by_key(serial, |row| row.serial);
        revokes.is_ok() || delta.gone.binary_search(serial).is_ok()
    };
    let mut rows = full.rows;
    rows.retain(|row| !speaks_of(&row.serial));
    rows.extend(delta.rows);
    rows.sort_unstable_by_key(|row| row.serial);
    rows
}

/// One row a serial; partitions that differ in one have no order.
fn unite(rows: &mut Vec<Row>) -> Result<(), Refusal> {
    rows.sort_unstable_by_key(|row| row.serial);
    for pair in rows.windows(2) {
        if let [one, other] = pair
            && one.serial == other.serial
            && !say_the_same(one.status, other.status)
        {
            return Err(Refusal::Partitions(one.serial));
        }
    }
    rows.dedup_by_key(|row| row.serial);
    Ok(())
}

fn say_the_same(one: CertStatus, other: CertStatus) -> bool {
    match (one, other) {
        (
            CertStatus::Revoked { at, reason },
            CertStatus::Revoked {
                at: other_at,
                reason: other,
            },
        ) => at == other_at && plain(reason) == plain(other),
        _ => one == other,
    }
}
