//! What a relying party learns from the lists of one scope: a full list, and the delta that changes it.

use std::collections::{BTreeMap, BTreeSet};

use wire::crl::Crl;
use wire::serial::{Serial, SerialHashKey};
use wire::status::CertStatus;
use wire::time::UnixSeconds;

use crate::import::certificate::Certificate;
use crate::import::check::EntryIndex;
use crate::import::crl::{Judged, Judging, judge};
use crate::import::delta::{Delta, fits};
use crate::import::file::unsigned;
use crate::import::trust::WeakPolicy;
use crate::manifest::ListMark;
use crate::pack::Pack;

/// A published list.
pub struct Published {
    /// Its name under `/crl/`.
    pub name: String,
    /// DER.
    pub octets: Vec<u8>,
    /// What its maker knows of it; none for lists of the first edition.
    pub mark: Option<ListMark>,
}

/// The lists of one scope, together.
pub struct View<'a> {
    /// The full list's name.
    pub name: &'a str,
    /// The full list.
    pub full: Crl<'a>,
    index: EntryIndex,
    /// The delta's name and what it changes, if it changes anything.
    pub delta: Option<(&'a str, Delta<'a>)>,
    /// The registry revision both show together, if it is known.
    pub revision: Option<u64>,
    /// thisUpdate of the newer of the two.
    pub this_update: UnixSeconds,
    /// Serials that left the full list because their certificates expired.
    pub expired: BTreeSet<Serial>,
}

impl<'a> View<'a> {
    /// A full list alone.
    pub fn of(list: &'a Published, key: SerialHashKey) -> Result<Self, String> {
        let full = Crl::parse(&list.octets).map_err(|error| error.to_string())?;
        let index = EntryIndex::build(&full, key)
            .map_err(|fault| crate::import::refusal::CrlRefusal::from(fault).to_string())?;
        Ok(Self {
            name: &list.name,
            index,
            delta: None,
            revision: list.mark.as_ref().map(|mark| mark.revision),
            this_update: full.this_update,
            expired: BTreeSet::new(),
            full,
        })
    }

    /// A full list and its delta, both verified when they were admitted.
    pub fn together(
        list: &'a Published,
        delta: Option<&'a Published>,
        key: SerialHashKey,
    ) -> Result<Self, String> {
        let mut view = Self::of(list, key)?;
        if let Some(delta) = delta {
            let read = Delta::read(&delta.octets);
            let read = read.map_err(|error| format!("{}: {error}", delta.name))?;
            view.put_on(delta, read)?;
        }
        Ok(view)
    }

    /// A full list and its delta, signatures verified. Their own dates decide nothing here: what was published must agree
    /// with the packs also after its nextUpdate. A delta older than the full list is left aside: nobody may use it with
    /// this list (RFC 5280 §5.2.4 (d)).
    pub fn judged(
        list: &'a Published,
        delta: Option<&'a Published>,
        issuer: &Certificate,
        key: SerialHashKey,
        now: UnixSeconds,
    ) -> Result<Self, String> {
        let judging = |octets: &[u8]| {
            let crl = Crl::parse(octets).map_err(|error| error.to_string())?;
            Ok::<_, String>(Judging {
                now,
                as_of: Some(crl.this_update.min(now)),
                weak: WeakPolicy::Refuse,
            })
        };
        let Judged { crl, index, .. } = judge(&list.octets, issuer, &judging(&list.octets)?, key)
            .map_err(|error| error.to_string())?;
        let mut view = Self {
            name: &list.name,
            index,
            delta: None,
            revision: list.mark.as_ref().map(|mark| mark.revision),
            this_update: crl.this_update,
            expired: BTreeSet::new(),
            full: crl,
        };
        if let Some(delta) = delta {
            let judged = Delta::judge(&delta.octets, issuer, &judging(&delta.octets)?)
                .map_err(|error| format!("{}: {error}", delta.name))?;
            view.put_on(delta, judged)?;
        }
        Ok(view)
    }

    fn put_on(&mut self, list: &'a Published, delta: Delta<'a>) -> Result<(), String> {
        let number = |crl: &Crl<'a>| crl.extensions.number.map(unsigned);
        if number(&delta.crl) < number(&self.full) {
            return Ok(());
        }
        fits(&self.full, &delta.crl).map_err(|error| format!("{}: {error}", list.name))?;
        if number(&delta.crl) == number(&self.full) {
            // RFC 5280 §5.2.3: written at one time under one number, both say the same.
            for (serial, said) in delta.changes() {
                if self.index.find(&self.full, serial) != *said {
                    return Err(format!(
                        "serial {serial}: {} differs, and has the same number",
                        list.name
                    ));
                }
            }
        }
        self.revision = list
            .mark
            .as_ref()
            .map(|mark| mark.revision)
            .max(self.revision);
        self.this_update = delta.crl.this_update.max(self.this_update);
        self.delta = Some((&list.name, delta));
        Ok(())
    }

    /// What it says of a serial, if it revokes it.
    pub fn says(&self, serial: &Serial) -> Option<CertStatus> {
        if let Some((_, delta)) = &self.delta
            && let Some(said) = delta.get(serial)
        {
            return said;
        }
        self.index.find(&self.full, serial)
    }

    /// Everything it revokes.
    pub fn entries(&self) -> impl Iterator<Item = (Serial, CertStatus)> + '_ {
        let full = (0..).map_while(|place| self.index.get(&self.full, place));
        let unchanged = full.filter_map(|(_, serial, status)| {
            let delta = self.delta.as_ref().map(|(_, delta)| delta);
            delta
                .is_none_or(|delta| delta.get(&serial).is_none())
                .then_some((serial, status))
        });
        let changes = self.delta.iter().flat_map(|(_, delta)| delta.changes());
        unchanged.chain(changes.filter_map(|(serial, said)| said.map(|status| (*serial, status))))
    }

    /// How many it revokes.
    pub fn count(&self) -> usize {
        self.entries().count()
    }

    /// Whether a pack shows a later state of the registry than these lists.
    pub fn is_before(&self, pack: &Pack) -> bool {
        match self.revision {
            Some(revision) => pack.age().0 > revision,
            None => pack.created_at() > self.this_update,
        }
    }

    /// Whether a revocation may have come after these lists: the pack shows a later revision, and the revocation is not
    /// dated before them. A revocation bears the clock's time when it was ordered, so that one which these lists should
    /// have and lack is not taken for a later one because a pack was signed anew.
    pub fn explains_addition(&self, pack: &Pack, status: CertStatus) -> bool {
        let CertStatus::Revoked { at, .. } = status else {
            return false;
        };
        let dated_before = self.revision.is_some() && at + CLOCK_LEEWAY_SECS < self.this_update;
        self.is_before(pack) && !dated_before
    }
}

/// The published lists of an issuer, by scope.
pub struct Scopes<'l> {
    /// Full lists, with their deltas.
    pub together: Vec<(&'l Published, Option<&'l Published>)>,
    /// Deltas whose full list is not there.
    pub lone: Vec<&'l Published>,
}

impl<'l> Scopes<'l> {
    /// Sorts them by their distribution points.
    pub fn of(lists: &'l [Published]) -> Self {
        let mut scopes: BTreeMap<Vec<u8>, [Option<&Published>; 2]> = BTreeMap::new();
        for list in lists {
            let Ok(crl) = Crl::parse(&list.octets) else {
                continue;
            };
            let point = crl.extensions.distribution_point;
            let point = point.map(|point| point.encode()).unwrap_or_default();
            scopes.entry(point).or_default()[usize::from(crl.is_delta())] = Some(list);
        }
        let mut sorted = Self {
            together: Vec::new(),
            lone: Vec::new(),
        };
        for scope in scopes.into_values() {
            match scope {
                [Some(full), delta] => sorted.together.push((full, delta)),
                [None, delta] => sorted.lone.extend(delta),
            }
        }
        sorted
    }
}

/// How far the clocks of those who revoke and those who write lists may lie apart.
const CLOCK_LEEWAY_SECS: u64 = 300;
