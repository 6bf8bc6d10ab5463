//! Certificates that have expired: their last status is still answered until the archive period ends, but hardly anybody
//! asks, and it hardly ever changes. What is said of them is signed for longer, and their signatures are carried from one
//! signing of a shard to the next: a record names its window, so old and new ones stand side by side in one pack.
//!
//! The signatures lie beside the status file, `status/<issuer>.ended/<shard>`: a batch of that shard (`wire::batch`) with the
//! records of expired certificates only, and its trailer, signed with the batch key like any: what a bit flipped in, or
//! somebody else wrote, is not used. It is a convenience: missing, damaged or of another division, everything is signed anew.
//! Carried over is what says the same status in a window that lasts at least as long as a new one of a living certificate,
//! signed by responders of which none is revoked or at its end, with the algorithms of today.
//!
//! One signature in 64 is verified when they are read, every time others; all of them would be pointless where a
//! verification costs more than a signature, as with P-256 and SM2. `age-objective-secs` is an objective for living
//! certificates: what is said of expired ones grows as old as `expired-validity-secs` lets it.

use super::output::check_record;
use super::{BatchError, Row};
use crate::ca::ocsp_signer::Group;
use crate::durable::{self, Existing, Secrecy};
use crate::key::{Signer, verify};
use crate::registry::OcspSigner;
use std::collections::BTreeMap;
use std::path::Path;
use wire::batch::{self, Header, Kind, TRAILER_HASH_OCTETS, TRAILER_OCTETS, Window, signed_octets};
use wire::record::{RecordLayout, RecordRef};
use wire::serial::Serial;
use wire::time::UnixSeconds;

/// What is said otherwise than with the batch's own window and a new signature.
#[derive(Debug, Default)]
pub struct Ended {
    /// Windows after the batch's own.
    pub(super) windows: Vec<Window>,
    /// Responders after the batch's own, group by group, as many in each as in that.
    pub(super) responders: Vec<batch::Responder>,
    said: BTreeMap<Serial, Said>,
    carried: u64,
}

/// How one certificate's status is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Signed now, in the window of that number.
    Anew(u16),
    /// As signed before: the window's number, the signatures of all variants.
    AsBefore(u16, Box<[u8]>),
}

/// What the plan goes by.
pub(super) struct Terms<'a> {
    /// The clock, read after the statuses were.
    pub now: UnixSeconds,
    /// How long living certificates are answered for.
    pub validity: u64,
    /// Who signs now.
    pub group: &'a Group,
    /// Whose signatures still count.
    pub trusted: &'a [OcspSigner],
    /// The window of what is signed anew.
    pub window: Window,
}

impl Ended {
    /// How a batch says what it has of expired certificates, `rows`; `kept` are the signatures of before. It has the windows
    /// that are used, and no others: the oldest of an issuer is what its operator watches.
    pub(super) fn plan(rows: &[Row], kept: Option<&Kept>, terms: &Terms<'_>) -> Self {
        let mut ended = Self::default();
        let (mut numbers, mut anew) = (BTreeMap::new(), None);
        for row in rows {
            let before = kept.and_then(|kept| ended.carry_over(kept, row, terms, &mut numbers));
            ended.carried += u64::from(before.is_some());
            let said = match before {
                Some(before) => before,
                None => Said::Anew(*anew.get_or_insert_with(|| ended.number_of(terms.window))),
            };
            ended.said.insert(row.serial, said);
        }
        ended
    }

    /// A status as it was signed before, if that may be used again. `numbers` are those in the new batch of the windows
    /// that were met; none of one that may not be carried over.
    fn carry_over(
        &mut self,
        kept: &Kept,
        row: &Row,
        terms: &Terms<'_>,
        numbers: &mut BTreeMap<u16, Option<u16>>,
    ) -> Option<Said> {
        let record = kept.find(row)?;
        let window = record.window();
        let number = match numbers.get(&window) {
            Some(known) => *known,
            None => {
                let number = self.take_window(kept, window, terms);
                numbers.insert(window, number);
                number
            }
        };
        Some(Said::AsBefore(number?, kept.signatures(&record)?))
    }

    /// The number in the new batch of a window of before, if that may be carried over.
    fn take_window(&mut self, kept: &Kept, window: u16, terms: &Terms<'_>) -> Option<u16> {
        let window = kept.header.windows.get(usize::from(window))?;
        let slots = terms.group.responders().len();
        let mut groups = kept.header.responders.chunks_exact(slots);
        let group = groups.nth(usize::from(window.group))?;
        let counts = group.iter().all(|responder| {
            let mut trusted = terms.trusted.iter();
            trusted.any(|signer| signer.certificate == responder.certificate)
        });
        let last_as_long = terms.now.saturating_add(terms.validity);
        let fits = window.this_update <= terms.now && window.next_update >= last_as_long;
        if !counts || !fits || self.windows.len() >= MOST_WINDOWS {
            return None;
        }
        let group = self.group(group, terms.group);
        Some(self.number_of(Window { group, ..*window }))
    }

    /// The number of a window, which gets one if it has none. The batch's own window is number 0.
    fn number_of(&mut self, window: Window) -> u16 {
        let place = match self.windows.iter().position(|known| *known == window) {
            Some(place) => place,
            None => {
                self.windows.push(window);
                self.windows.len() - 1
            }
        };
        u16::try_from(place + 1).expect("there are at most MOST_WINDOWS, and a new one")
    }

    /// The number of a group of before, which gets one if it has none. The batch's own is number 0.
    fn group(&mut self, wanted: &[batch::Responder], own: &Group) -> u16 {
        let own = own.responders().iter().map(|own| &own.certificate);
        if wanted.iter().map(|wanted| &wanted.certificate).eq(own) {
            return 0;
        }
        let mut known = self.responders.chunks_exact(wanted.len());
        let place = known.position(|known| {
            let known = known.iter().map(|known| &known.certificate);
            known.eq(wanted.iter().map(|wanted| &wanted.certificate))
        });
        let place = place.unwrap_or_else(|| {
            let place = self.responders.len() / wanted.len();
            self.responders.extend_from_slice(wanted);
            place
        });
        u16::try_from(place + 1).expect("no more than windows")
    }

    /// How this one is said; none if like all others.
    pub(super) fn said(&self, serial: &Serial) -> Option<&Said> {
        self.said.get(serial)
    }

    /// How many signatures need not be made again.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.carried
    }

    /// Adds those of a batch's records to `kept` that stand in other windows than its own.
    pub(super) fn keep(&self, layout: &RecordLayout, records: &[u8], kept: &mut Vec<u8>) {
        if self.said.is_empty() {
            return;
        }
        for record in records.chunks(layout.record_octets()) {
            if layout
                .record(record)
                .is_ok_and(|record| record.window() > 0)
            {
                kept.extend_from_slice(record);
            }
        }
    }
}

/// Signatures of before.
pub(super) struct Kept {
    header: Header,
    layout: RecordLayout,
    records: Vec<u8>,
    /// Where each certificate's record begins.
    places: BTreeMap<Serial, usize>,
}

impl Kept {
    /// Reads them; none if they are not there, not whole, not ours, or not of a batch like `order`.
    pub(super) fn read(path: &Path, order: &Header, batch_key: &dyn Signer) -> Option<Self> {
        let octets = match std::fs::read(path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "cannot be read; what it holds is signed anew");
                return None;
            }
        };
        let Some(body) = unsealed(octets, batch_key) else {
            tracing::warn!(file = %path.display(), "damaged; what it holds is signed anew");
            return None;
        };
        let kept = Self::of(body, order)?;
        if !kept.holds(order.number) {
            tracing::error!(file = %path.display(), "a signature in it does not verify; what it holds is signed anew");
            return None;
        }
        Some(kept)
    }

    fn of(mut octets: Vec<u8>, order: &Header) -> Option<Self> {
        let (header, from) = Header::parse(&octets).ok()?;
        let is_alike = header.issuer_id == order.issuer_id
            && header.hash_key == order.hash_key
            && (header.shards, header.shard) == (order.shards, order.shard)
            && header.variants == order.variants
            && header.slots == order.slots;
        let layout = header.layout().ok().filter(|_| is_alike)?;
        let records = octets.split_off(from);
        let mut places = BTreeMap::new();
        for (number, record) in records.chunks(layout.record_octets()).enumerate() {
            let record = layout.record(record).ok()?;
            let serial = Serial::from_content(record.serial_content()).ok()?;
            places.insert(serial, number * layout.record_octets());
        }
        Some(Self {
            header,
            layout,
            records,
            places,
        })
    }

    /// Whether a sample of the signatures verifies; another one for each `number`.
    fn holds(&self, number: u64) -> bool {
        // One at least, where there are few.
        let beginnings = self.places.len().clamp(1, SAMPLE) as u64;
        let skipped = usize::try_from(number % beginnings).unwrap_or(0);
        let records = self.records.chunks(self.layout.record_octets());
        records.skip(skipped).step_by(SAMPLE).all(|record| {
            let record = self.layout.record(record).ok();
            record.is_some_and(|record| check_record(&self.header, &record, &[]).is_ok())
        })
    }

    /// Keeps the records of expired certificates of a batch that was written: those in other windows than its own.
    ///
    /// # Errors
    /// [`BatchError::File`], [`BatchError::Header`], [`BatchError::Key`].
    pub(super) fn write(
        path: &Path,
        written: &Header,
        records: &[u8],
        batch_key: &dyn Signer,
    ) -> Result<(), BatchError> {
        let octets = written.layout().map_err(BatchError::Header)?;
        let header = Header {
            kind: Kind::Shard,
            record_count: (records.len() / octets.record_octets()) as u64,
            documents: Vec::new(),
            ..written.clone()
        };
        let mut octets = header.encode().map_err(BatchError::Header)?;
        octets.extend_from_slice(records);
        let hash = *blake3::hash(&octets).as_bytes();
        octets.extend_from_slice(&hash);
        octets.extend_from_slice(&batch_key.sign(&signed_octets(&hash))?);
        let failed = |source| BatchError::File {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        durable::write(path, &octets, Secrecy::Private, Existing::Replace).map_err(failed)
    }

    /// What was signed of a certificate, if it says the same status.
    fn find(&self, row: &Row) -> Option<RecordRef<'_>> {
        let from = *self.places.get(&row.serial)?;
        let octets = self.records.get(from..from + self.layout.record_octets())?;
        let record = self.layout.record(octets).ok()?;
        (record.status().ok()? == row.status).then_some(record)
    }

    /// The signatures of all variants.
    fn signatures(&self, record: &RecordRef<'_>) -> Option<Box<[u8]>> {
        let mut signatures = Vec::new();
        for variant in 0..self.layout.variants() {
            signatures.extend_from_slice(record.signature(variant)?);
        }
        Some(signatures.into_boxed_slice())
    }
}

/// What stands before a trailer of ours; none if that is not ours, or of something else.
fn unsealed(mut octets: Vec<u8>, batch_key: &dyn Signer) -> Option<Vec<u8>> {
    let trailer = octets.split_off(octets.len().checked_sub(TRAILER_OCTETS)?);
    let (hash, signature) = trailer.split_first_chunk::<TRAILER_HASH_OCTETS>()?;
    if blake3::hash(&octets).as_bytes() != hash {
        return None;
    }
    let (algorithm, key) = (batch_key.algorithm(), batch_key.public_key_der());
    verify::own(algorithm, key, &signed_octets(hash), signature).ok()?;
    Some(octets)
}

/// Whether a certificate has expired.
pub(super) fn is_over(not_after: UnixSeconds, now: UnixSeconds) -> bool {
    not_after < now
}

/// Windows of one batch at most: there is one for each time the shard was signed while one of them lasts.
const MOST_WINDOWS: usize = 4_096;
/// One signature in so many is verified before it is carried over.
const SAMPLE: usize = 64;
