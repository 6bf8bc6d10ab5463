//! Several lists of one CA that speak together: a complete list and the delta that changes it, and partitions.
//!
//! Each list is read, judged and settled by itself, as a single one is; what it says of each serial then goes into a
//! second sort, so that all of them come out side by side:
//!
//! ```text
//! list ─▶ sort ─▶ settle ─┐
//! list ─▶ sort ─▶ settle ─┼─▶ sort by (hash, serial, partition, complete before delta) ─▶ one word a serial
//! list ─▶ sort ─▶ settle ─┘
//! ```
//!
//! Of one partition the delta has the last word: it revokes, changes, or clears; one that bears its complete list's own
//! number has none, and must say the same. Of two partitions neither has the last word: if they say different things of a
//! serial, no reading of them is the right one.
//!
//! A record of the second sort, all big endian: hash 8 │ serial 32 │ partition 2 │ rank 1 │ date 8 │ status code 1

use std::collections::BTreeMap;
use std::io::{self, Seek as _, SeekFrom};

use wire::crl::{Crl, Outline};
use wire::name::PreparedName;
use wire::serial::SerialHashKey;
use wire::time::UnixSeconds;

use super::check::EntryFault;
use super::crl::{JudgedList, Judging, Wanted, judge_read_as};
use super::delta::{fits, is_in_turn, is_of_one_number};
use super::list::{ListError, ListReader, outline_of};
use super::listed::{LISTED_OCTETS, Listed, SettleError, Settled, say_the_same};
use super::refusal::CrlRefusal;
use super::whose::{Parties, is_indirect};
use crate::durable::Disk;
use crate::sort::{SortError, Sorted, Sorter, Sorting};
use crate::staged::{MOST_LISTS, OpenList, StagedError};

/// What is staged of an issuer says, serial by serial.
pub enum Said {
    /// One list, signed or not.
    One(Box<Settled>),
    /// Several.
    Several(Box<Overlaid>),
}

impl From<Settled> for Said {
    fn from(settled: Settled) -> Self {
        Self::One(Box::new(settled))
    }
}

impl Said {
    /// What is said of the next serial, in order of (hash, serial).
    pub fn next_listed(&mut self) -> Result<Option<Listed>, SettleError> {
        match self {
            Self::One(settled) => settled.next_listed(),
            Self::Several(overlaid) => overlaid.next_listed(),
        }
    }

    /// Goes through to the end.
    pub fn run_out(&mut self) -> Result<(), SettleError> {
        while self.next_listed()?.is_some() {}
        Ok(())
    }

    /// Serials revoked in the end, so far.
    pub fn revoked(&self) -> u64 {
        match self {
            Self::One(settled) => settled.revoked,
            Self::Several(overlaid) => overlaid.revoked,
        }
    }
}

/// A complete list and its delta, by their places among the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Of the complete list.
    pub full: usize,
    /// Of its delta, if there is one.
    pub delta: Option<usize>,
    /// Whether both bear one number, so that the delta changes nothing.
    pub is_of_one_number: bool,
}

impl Part {
    /// Its lists, with the rank of what each says.
    fn ranked(&self) -> impl Iterator<Item = (u8, usize)> {
        let rank = match self.is_of_one_number {
            true => ECHO,
            false => DELTA,
        };
        let delta = self.delta.map(|place| (rank, place));
        std::iter::once((COMPLETE, self.full)).chain(delta)
    }
}

/// What a list is about: its issuingDistributionPoint, encoded; empty if it has none. Of an indirect list also who issued
/// it: several may sign for one CA, each under the same bare point, and each counts its own lists.
// RFC 5280 §5.2.3: numbers are those of one issuer's lists of one scope.
pub fn scope_of(crl: &Crl<'_>) -> Vec<u8> {
    let point = crl.extensions.distribution_point;
    let mut scope = point.map(|point| point.encode()).unwrap_or_default();
    if is_indirect(crl) {
        // However its name is spelt.
        scope.extend_from_slice(&PreparedName::of(crl.issuer).key());
    }
    scope
}

/// Which of these lists belong together; with the place of the list that belongs nowhere.
// RFC 5280 §5.2.4, §5.2.5: a delta changes a complete list of the same scope; the distribution point tells partitions apart.
pub fn parts(outlines: &[Outline]) -> Result<Vec<Part>, (usize, CrlRefusal)> {
    if outlines.len() > MOST_LISTS {
        return Err((0, CrlRefusal::TooMany(outlines.len())));
    }
    let mut scopes: BTreeMap<Vec<u8>, [Option<usize>; 2]> = BTreeMap::new();
    for (place, outline) in outlines.iter().enumerate() {
        let crl = outline
            .read()
            .map_err(|error| (place, CrlRefusal::from(error)))?;
        let scope = scopes.entry(scope_of(&crl)).or_default();
        let taken = scope[usize::from(crl.is_delta())].replace(place);
        if taken.is_some() {
            return Err((place, CrlRefusal::ScopeTwice));
        }
    }
    if let (true, Some(&[full, delta])) = (scopes.len() > 1, scopes.get(UNRESTRICTED)) {
        let place = full.or(delta).unwrap_or_default();
        return Err((place, CrlRefusal::WholeBesidePartition));
    }
    let part = |[full, delta]: [Option<usize>; 2]| -> Result<Part, (usize, CrlRefusal)> {
        let Some(full) = full else {
            return Err((delta.unwrap_or_default(), CrlRefusal::DeltaAlone));
        };
        let mut is_of_one = false;
        if let Some(delta) = delta {
            let read = |place: usize| {
                outlines[place]
                    .read()
                    .map_err(|e| (place, CrlRefusal::from(e)))
            };
            let (full, change) = (read(full)?, read(delta)?);
            fits(&full, &change)
                .and_then(|()| is_in_turn(&full, &change))
                .map_err(|misfit| (delta, CrlRefusal::from(misfit)))?;
            is_of_one = is_of_one_number(&full, &change);
        }
        Ok(Part {
            full,
            delta,
            is_of_one_number: is_of_one,
        })
    };
    scopes.into_values().map(part).collect()
}

/// What lists are read with.
pub struct Reading<'a> {
    /// Holds what memory does not.
    pub disk: &'a dyn Disk,
    /// Where and in how much memory each of two sorts works.
    pub sorting: &'a Sorting,
    /// Key of the order.
    pub key: SerialHashKey,
    /// Whose lists they are.
    pub parties: Parties<'a>,
}

/// Lists that passed.
pub struct Together {
    /// What they say.
    pub said: Said,
    /// When the first of them ends.
    pub next_update: Option<UnixSeconds>,
}

/// Why lists do not speak together.
#[derive(Debug, thiserror::Error)]
pub enum TogetherError {
    /// One of them is refused.
    #[error("{refusal}")]
    Refused {
        /// Its place among them.
        place: usize,
        /// Why.
        refusal: CrlRefusal,
    },
    /// One of them cannot be read, or is not the one that was staged.
    #[error(transparent)]
    Staged(#[from] StagedError),
    /// They cannot be sorted.
    #[error(transparent)]
    Sort(#[from] SortError),
}

impl Reading<'_> {
    /// Reads and judges all of them; `judging` says how each is to be judged.
    pub fn read(
        &self,
        lists: &[OpenList],
        judging: &dyn Fn(&Crl<'_>) -> Judging,
    ) -> Result<Together, TogetherError> {
        let outlines = lists.iter().enumerate().map(|(place, list)| {
            outline_of(&list.file).map_err(|error| refused_or_changed(list, place, error))
        });
        let outlines: Vec<Outline> = outlines.collect::<Result<_, _>>()?;
        let refused = |(place, refusal)| TogetherError::Refused { place, refusal };
        let parts = parts(&outlines).map_err(refused)?;
        if let [
            Part {
                full, delta: None, ..
            },
        ] = parts.as_slice()
        {
            let judged = self.judge(lists, *full, judging)?;
            return Ok(Together {
                next_update: judged.crl().next_update,
                said: judged.settled.into(),
            });
        }
        let mut next_update = None;
        let mut sorter = Sorter::begin(self.disk, self.sorting, RANKED_OCTETS)?;
        for (number, part) in (0_u16..).zip(&parts) {
            for (rank, place) in part.ranked() {
                let judged = self.judge(lists, place, judging)?;
                let end = judged.crl().next_update;
                next_update = next_update.into_iter().chain(end).min();
                self.overlay(&mut sorter, judged, (number, rank), place)?;
            }
        }
        let overlaid = Overlaid::of(sorter.finish()?);
        Ok(Together {
            said: Said::Several(Box::new(overlaid)),
            next_update,
        })
    }

    fn judge(
        &self,
        lists: &[OpenList],
        place: usize,
        judging: &dyn Fn(&Crl<'_>) -> Judging,
    ) -> Result<JudgedList, TogetherError> {
        let list = &lists[place];
        let sorter = Sorter::begin(self.disk, self.sorting, LISTED_OCTETS)?;
        let nobody = &mut |_| ();
        let reader = ListReader::new(sorter, self.key, self.parties, nobody);
        let mut file = &list.file;
        file.seek(SeekFrom::Start(0))
            .map_err(|error| list.unreadable(error))?;
        let read = reader
            .read(file)
            .map_err(|error| refused_or_changed(list, place, error))?;
        list.expect_unchanged(&read.blake3)?;
        let refused = |refusal| TogetherError::Refused { place, refusal };
        let (wanted, judging) = {
            let crl = read.outline.read().map_err(|error| refused(error.into()))?;
            (Wanted::of(&crl), judging(&crl))
        };
        judge_read_as(wanted, read, &self.parties, &judging).map_err(refused)
    }

    /// Puts what a list says where all come out side by side.
    fn overlay(
        &self,
        sorter: &mut Sorter<'_>,
        judged: JudgedList,
        (number, rank): (u16, u8),
        place: usize,
    ) -> Result<(), TogetherError> {
        let mut settled = match rank {
            COMPLETE => judged.settled,
            _ => judged.settled.keeping_clears(),
        };
        loop {
            match settled.next_listed() {
                Ok(Some(listed)) => sorter.push(&ranked(&listed, number, rank))?,
                Ok(None) => return Ok(()),
                Err(SettleError::Sort(error)) => return Err(error.into()),
                Err(SettleError::Fault(fault)) => {
                    let refusal = fault.into();
                    return Err(TogetherError::Refused { place, refusal });
                }
                Err(SettleError::Twice { .. }) => unreachable!("only lines are numbered"),
            }
        }
    }
}

/// A staged list that does not read: it was changed since, or nobody may read it, or it never was one.
fn refused_or_changed(list: &OpenList, place: usize, error: ListError) -> TogetherError {
    match error {
        ListError::Sort(error) => error.into(),
        ListError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            list.unreadable(error).into()
        }
        ListError::Io(error) => match list.hash().and_then(|now| list.expect_unchanged(&now)) {
            Err(changed) => changed.into(),
            Ok(()) => list.unreadable(error).into(),
        },
        ListError::Decode(error) => match list.hash().and_then(|now| list.expect_unchanged(&now)) {
            Err(changed) => changed.into(),
            Ok(()) => TogetherError::Refused {
                place,
                refusal: error.into(),
            },
        },
    }
}

fn ranked(listed: &Listed, number: u16, rank: u8) -> [u8; RANKED_OCTETS] {
    let record = listed.record();
    let (key, rest) = record.split_at(KEY_OCTETS);
    let mut ranked = [0; RANKED_OCTETS];
    ranked[..KEY_OCTETS].copy_from_slice(key);
    ranked[KEY_OCTETS..][..2].copy_from_slice(&number.to_be_bytes());
    ranked[KEY_OCTETS + 2] = rank;
    ranked[KEY_OCTETS + 3..].copy_from_slice(rest);
    ranked
}

/// What one list says of a serial.
#[derive(Clone, Copy)]
struct Ranked {
    /// The partition it belongs to.
    number: u16,
    rank: u8,
    listed: Listed,
}

/// What several lists say, one word a serial.
pub struct Overlaid {
    sorted: Sorted,
    upcoming: Option<Ranked>,
    begun: bool,
    /// Serials revoked in the end, so far.
    pub revoked: u64,
}

impl Overlaid {
    fn of(sorted: Sorted) -> Self {
        Self {
            sorted,
            upcoming: None,
            begun: false,
            revoked: 0,
        }
    }

    fn next_listed(&mut self) -> Result<Option<Listed>, SettleError> {
        if !std::mem::replace(&mut self.begun, true) {
            self.upcoming = self.read()?;
        }
        while let Some(Ranked { listed: first, .. }) = self.upcoming {
            let mut said: Option<Listed> = None;
            while let Some(next) = self.upcoming.filter(|it| it.listed.serial == first.serial) {
                let word = self.word_of(next)?;
                // RFC 5280 §5.2.4: removeFromCRL takes off the complete list what stood there.
                if word.clears() {
                    continue;
                }
                if said.is_some_and(|said| !say_the_same(said.status, word.status)) {
                    let serial = word.serial;
                    return Err(SettleError::Fault(EntryFault::Partitions { serial }));
                }
                said = Some(word);
            }
            if said.is_some() {
                self.revoked += 1;
                return Ok(said);
            }
        }
        Ok(None)
    }

    /// The last word of one partition on a serial, of which `first` is the first: its delta's, if that speaks of it.
    fn word_of(&mut self, first: Ranked) -> Result<Listed, SettleError> {
        let (number, serial) = (first.number, first.listed.serial);
        let mut word = first.listed;
        let mut complete = None;
        while let Some(next) = self
            .upcoming
            .filter(|next| next.number == number && next.listed.serial == serial)
        {
            // RFC 5280 §5.2.3: a delta of its complete list's own number says the same.
            if next.rank == ECHO && !repeats(complete, &next.listed) {
                return Err(SettleError::Fault(EntryFault::OneNumber { serial }));
            }
            word = next.listed;
            complete = (next.rank == COMPLETE).then_some(word);
            self.upcoming = self.read()?;
        }
        Ok(word)
    }

    fn read(&mut self) -> Result<Option<Ranked>, SortError> {
        let Some(ranked) = self.sorted.next_record()? else {
            return Ok(None);
        };
        let number = ranked.get(KEY_OCTETS..).and_then(<[u8]>::first_chunk);
        let number = u16::from_be_bytes(*number.expect("a record of this file's own"));
        let mut record = [0; LISTED_OCTETS];
        record[..KEY_OCTETS].copy_from_slice(&ranked[..KEY_OCTETS]);
        record[KEY_OCTETS..].copy_from_slice(&ranked[KEY_OCTETS + 3..]);
        Ok(Some(Ranked {
            number,
            rank: ranked[KEY_OCTETS + 2],
            listed: Listed::from_record(&record),
        }))
    }
}

/// Whether a delta's word is what the complete list says; of what that does not name it may say that it was taken off.
fn repeats(complete: Option<Listed>, echo: &Listed) -> bool {
    match complete {
        Some(complete) => say_the_same(complete.status, echo.status),
        None => echo.clears(),
    }
}

/// What a list without an issuingDistributionPoint is about.
const UNRESTRICTED: &[u8] = &[];
/// Hash and serial.
const KEY_OCTETS: usize = 8 + wire::serial::MAX_SERIAL_OCTETS;
/// With partition and rank.
const RANKED_OCTETS: usize = LISTED_OCTETS + 3;
/// The rank of what a complete list says.
const COMPLETE: u8 = 0;
/// The rank of what a delta says: after its complete list.
const DELTA: u8 = 1;
/// The rank of what a delta of its complete list's own number says.
const ECHO: u8 = 2;
