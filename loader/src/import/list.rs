//! A CRL read once from front to back, however long: hashed, its entries put into a sort, everything around them kept.
//!
//! What it says is not believed here. A broken entry is noted and reading goes on to the end, so that `crl.rs` can judge
//! in the order of RFC 5280: whose list it is and who signed it come before what is wrong inside.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};

use wire::crl::{CrlEntry, Outline, Places, next_entry, plain_entry};
use wire::serial::SerialHashKey;
use wire::status::{CertStatus, RevocationReason};
use wire::{DecodeError, Rule};

use super::check::{EntryFault, refuse_critical};
use super::listed::Listed;
use super::prehash::{HELD_OCTETS, Listener, Message};
use super::trust::recognise;
use super::whose::{Attribution, Parties, Whose, is_indirect};
use crate::sort::{SortError, Sorted, Sorter};

/// A list that was read and not yet judged.
pub struct ListRead {
    /// Everything but its entries.
    pub outline: Outline,
    /// What was signed.
    pub signed: Message,
    /// Its entries in order of (hash, serial, date); none if only hashes were asked for.
    pub sorted: Sorted,
    /// The hashes of its serials in order, if only they were asked for.
    pub hashes: Option<Sorted>,
    /// How many there are.
    pub entries: u64,
    /// How many of them are about certificates of other issuers, and left out.
    pub others: u64,
    /// How many of the rest say removeFromCRL.
    pub removals: u64,
    /// The first entry that is wrong.
    pub fault: Option<EntryFault>,
    /// BLAKE3 of the whole list.
    pub blake3: [u8; 32],
}

/// Why a list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Its octets cannot be had.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is not a list.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its entries cannot be sorted.
    #[error(transparent)]
    Sort(#[from] SortError),
}

/// How a list is read.
pub struct ListReader<'a, 'd> {
    /// Takes the entries.
    pub sorter: Sorter<'d>,
    /// Takes the hashes of serials instead, if it is there: enough to tell whether any recurs, at a fraction of the cost.
    pub hashes: Option<Sorter<'d>>,
    /// Hashes the serials.
    pub key: SerialHashKey,
    /// Who may have signed it (some algorithms hash the key before the message), and whose certificates are asked about.
    pub parties: Parties<'a>,
    /// Longer lists are hashed, not held.
    pub held: usize,
    /// Told of the octets read so far.
    pub progress: &'a mut dyn FnMut(u64),
}

impl<'a, 'd> ListReader<'a, 'd> {
    /// With the usual bound of what is held.
    pub fn new(
        sorter: Sorter<'d>,
        key: SerialHashKey,
        parties: Parties<'a>,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        Self {
            sorter,
            hashes: None,
            key,
            parties,
            held: HELD_OCTETS,
            progress,
        }
    }

    /// The same, keeping nothing of an entry but its serial's hash.
    #[must_use]
    pub fn hashes_only(self, hashes: Sorter<'d>) -> Self {
        Self {
            hashes: Some(hashes),
            ..self
        }
    }

    /// Reads one list, DER, and nothing behind it.
    pub fn read(mut self, input: impl Read) -> Result<ListRead, ListError> {
        let mut window = Window::new(input);
        window.fill()?;
        let places = Places::find(window.octets()).map_err(|error| match error.rule {
            // More than a window of head is no list that anybody publishes.
            Rule::Truncated if !window.is_at_end => Rule::TooLong.at(error.offset),
            _ => error,
        })?;
        let before = window.octets()[..places.entries.start].to_vec();
        let algorithm = recognise(&before[places.algorithm.clone()]).ok();
        let octets = places.tbs.len();
        let issuer = &before[places.issuer.clone()];
        let signer = &self.parties.signer_of(issuer).key;
        let mut whose = Attribution::begin(&self.parties, issuer);
        window.listener = Some((
            Listener::new(signer, algorithm, octets, self.held),
            places.tbs.clone(),
        ));
        window.pass(places.entries.start);
        let mut tally = Tally::default();
        self.read_entries(&mut window, &places, &mut tally, &mut whose)?;
        window.skip_to(places.entries.end)?;
        let tail = window.read_to(places.end)?;
        window.expect_end()?;
        (self.progress)(window.offset as u64);
        let signed = window.listener.take().expect("it was put there above").0;
        let outline = Outline::new(&places, &before, &tail)?;
        // Whether it is an indirect list stands behind its entries.
        if !outline.read().is_ok_and(|crl| is_indirect(&crl))
            && let Some(fault) = whose.fault_if_direct()
        {
            tally.fault = Some(fault);
        }
        Ok(ListRead {
            outline,
            signed: signed.finish(),
            sorted: self.sorter.finish()?,
            hashes: self.hashes.map(Sorter::finish).transpose()?,
            entries: tally.entries,
            others: tally.others,
            removals: tally.removals,
            fault: tally.fault,
            blake3: *window.blake3.finalize().as_bytes(),
        })
    }

    fn read_entries(
        &mut self,
        window: &mut Window<impl Read>,
        places: &Places,
        tally: &mut Tally,
        whose: &mut Attribution,
    ) -> Result<(), ListError> {
        while window.offset < places.entries.end && tally.fault.is_none() {
            let octets = window.octets();
            let left = places.entries.end - window.offset;
            let octets = &octets[..octets.len().min(left)];
            let mut at = 0;
            loop {
                at += self.hash_plain(&octets[at..], places.is_v2, tally, whose.goes_on())?;
                let number = tally.number();
                let read = next_entry(&octets[at..], window.offset + at, places.is_v2);
                match read {
                    Ok(Some((entry, length))) => {
                        let sound = refuse_critical(&entry, number);
                        match sound.and_then(|()| whose.of(&entry, number)) {
                            Err(fault) => {
                                tally.fault = Some(fault);
                                break;
                            }
                            Ok(whose) => self.take(&entry, whose, tally)?,
                        }
                        at += length;
                    }
                    Ok(None) if octets.len() == left && at < left => {
                        let error = Rule::Truncated.at(window.offset + at);
                        tally.fault = Some(EntryFault::Decode { number, error });
                        break;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tally.fault = Some(EntryFault::Decode { number, error });
                        break;
                    }
                }
                if at == left {
                    break;
                }
            }
            window.pass(window.offset + at);
            (self.progress)(window.offset as u64);
            if tally.fault.is_none() && window.offset < places.entries.end {
                window.fill_more(window.offset)?;
            }
        }
        Ok(())
    }
}

impl ListReader<'_, '_> {
    fn take(
        &mut self,
        entry: &CrlEntry<'_>,
        whose: Whose,
        tally: &mut Tally,
    ) -> Result<(), SortError> {
        tally.count(entry.reason, whose);
        match &mut self.hashes {
            _ if whose != Whose::Ours => Ok(()),
            None => listed(&self.key, entry).push_to(&mut self.sorter),
            Some(hashes) => {
                let hash = self.key.hash(entry.serial.content());
                hashes.push(&hash.to_be_bytes())
            }
        }
    }

    /// Where only hashes are kept: those of the plain entries that come first; how many octets these have. Of a million
    /// entries hardly one is not plain, and of a plain one nothing is built up that nobody asks for.
    #[inline]
    fn hash_plain(
        &mut self,
        octets: &[u8],
        is_v2: bool,
        tally: &mut Tally,
        whose: Whose,
    ) -> Result<usize, SortError> {
        let Some(hashes) = &mut self.hashes else {
            return Ok(0);
        };
        if whose == Whose::Unclear {
            return Ok(0);
        }
        let mut rest = octets;
        while let Some(plain) = plain_entry(rest, is_v2) {
            if whose == Whose::Ours {
                hashes.push(&self.key.hash(plain.serial).to_be_bytes())?;
            }
            tally.count(plain.reason, whose);
            rest = &rest[plain.length..];
        }
        Ok(octets.len() - rest.len())
    }
}

impl ListRead {
    /// Whether each serial stands there once and none is cleared, by the hashes alone. Two serials of one hash count as
    /// one that recurs: then the entries are looked at.
    pub fn is_plain(&mut self) -> Result<bool, SortError> {
        let Some(hashes) = &mut self.hashes else {
            return Ok(false);
        };
        let mut last = None;
        while let Some(hash) = hashes.next_record()? {
            let hash: Option<[u8; 8]> = hash.first_chunk().copied();
            if hash == last {
                return Ok(false);
            }
            last = hash;
        }
        Ok(self.removals == 0)
    }
}

/// Everything but the entries of a list that was judged before, without reading them.
pub fn outline_of(mut list: &File) -> Result<Outline, ListError> {
    list.seek(SeekFrom::Start(0))?;
    let mut window = Window::new(list);
    window.fill()?;
    let places = Places::find(window.octets())?;
    let before = window.octets()[..places.entries.start].to_vec();
    let octets = places.tail().len();
    if octets > MOST_TAIL_OCTETS {
        return Err(Rule::TooLong.at(places.entries.end).into());
    }
    list.seek(SeekFrom::Start(places.entries.end as u64))?;
    let mut tail = vec![0; octets];
    list.read_exact(&mut tail)?;
    Ok(Outline::new(&places, &before, &tail)?)
}

/// What was counted on the way.
#[derive(Default)]
struct Tally {
    entries: u64,
    others: u64,
    removals: u64,
    fault: Option<EntryFault>,
}

impl Tally {
    /// The number of the next entry, from 1.
    fn number(&self) -> usize {
        usize::try_from(self.entries + 1).unwrap_or(usize::MAX)
    }

    #[inline]
    fn count(&mut self, reason: Option<RevocationReason>, whose: Whose) {
        self.entries += 1;
        match whose {
            Whose::Others | Whose::Unclear => self.others += 1,
            Whose::Ours => {
                self.removals += u64::from(reason == Some(RevocationReason::RemoveFromCrl));
            }
        }
    }
}

#[inline]
fn listed(key: &SerialHashKey, entry: &CrlEntry<'_>) -> Listed {
    let status = CertStatus::Revoked {
        at: entry.revoked_at,
        reason: entry.reason,
    };
    Listed::new(key, entry.serial, status)
}

/// The octets at hand, and what hears them as they pass.
struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where `start` lies in the list.
    offset: usize,
    is_at_end: bool,
    blake3: blake3::Hasher,
    /// Hears the octets of this range.
    listener: Option<(Listener, std::ops::Range<usize>)>,
}

impl<R: Read> Window<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; WINDOW_OCTETS],
            start: 0,
            end: 0,
            offset: 0,
            is_at_end: false,
            blake3: blake3::Hasher::new(),
            listener: None,
        }
    }

    fn octets(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads until the buffer is full or the input ends.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < self.buffer.len() && !self.is_at_end {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.is_at_end = true,
                Ok(read) => {
                    self.blake3.update(&self.buffer[self.end..self.end + read]);
                    self.end += read;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The same where there must be more.
    fn fill_more(&mut self, at: usize) -> Result<(), ListError> {
        let before = self.end - self.start;
        self.fill()?;
        if self.end - self.start == before {
            return Err(Rule::Truncated.at(at).into());
        }
        Ok(())
    }

    /// Goes on to an offset within the octets at hand.
    fn pass(&mut self, to: usize) {
        let octets = &self.buffer[self.start..self.start + (to - self.offset)];
        if let Some((listener, range)) = &mut self.listener {
            let from = range.start.clamp(self.offset, to) - self.offset;
            let until = range.end.clamp(self.offset, to) - self.offset;
            listener.update(&octets[from..until]);
        }
        self.start += octets.len();
        self.offset = to;
    }

    /// Goes on to any offset.
    fn skip_to(&mut self, to: usize) -> Result<(), ListError> {
        while self.offset < to {
            let end = self.offset + self.octets().len();
            self.pass(end.min(to));
            if self.offset < to {
                self.fill_more(self.offset)?;
            }
        }
        Ok(())
    }

    /// The octets up to an offset.
    fn read_to(&mut self, to: usize) -> Result<Vec<u8>, ListError> {
        let octets = to - self.offset;
        if octets > MOST_TAIL_OCTETS {
            return Err(Rule::TooLong.at(self.offset).into());
        }
        let mut all = Vec::with_capacity(octets);
        while all.len() < octets {
            let part = self.octets().len().min(octets - all.len());
            all.extend_from_slice(&self.octets()[..part]);
            self.pass(self.offset + part);
            if all.len() < octets {
                self.fill_more(self.offset)?;
            }
        }
        Ok(all)
    }

    fn expect_end(&mut self) -> Result<(), ListError> {
        self.fill()?;
        if self.octets().is_empty() {
            return Ok(());
        }
        Err(Rule::TrailingOctets.at(self.offset).into())
    }
}

/// At hand at a time, and the most that may stand before the entries: a Name has some hundred octets.
const WINDOW_OCTETS: usize = 256 << 10;
/// The most that may stand behind the entries: extensions and signature have some thousand octets.
const MOST_TAIL_OCTETS: usize = 1 << 20;
