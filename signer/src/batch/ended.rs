//! Certificates that have expired: their last status is still answered until the archive period ends, but hardly anybody
//! asks, and it hardly ever changes. What is said of them is signed for longer, and their signatures are carried from one
//! signing of a shard to the next: a record names its window, so old and new ones stand side by side in one pack.
//!
//! The signatures lie beside the status file, `status/<issuer>.ended/<shard>`: a batch of that shard (`wire::batch`) with the
//! records of expired certificates only, and at its end the BLAKE3 of all before. It is a convenience: missing, damaged or of
//! another division, everything is signed anew. Carried over is what says the same status in a window that lasts at least as
//! long as a new one of a living certificate, signed by a responder that is neither revoked nor at its end.

use super::{BatchError, Row};
use crate::ca::ocsp_signer::Responder;
use crate::durable::{self, Existing, Secrecy};
use crate::registry::OcspSigner;
use std::collections::BTreeMap;
use std::path::Path;
use wire::batch::{self, Header, Kind, Window};
use wire::record::RecordLayout;
use wire::serial::Serial;
use wire::time::UnixSeconds;

/// What is said otherwise than with the batch's own window and a new signature.
#[derive(Debug, Default)]
pub struct Ended {
    /// Windows after the batch's own.
    pub(super) windows: Vec<Window>,
    /// Responders after the batch's own, each a group.
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
    pub responder: &'a Responder,
    /// Whose signatures still count.
    pub trusted: &'a [OcspSigner],
    /// The window of what is signed anew.
    pub window: Window,
}

impl Ended {
    /// How a batch says what it has of expired certificates, `rows`; `kept` are the signatures of before.
    pub(super) fn plan(rows: &[Row], kept: Option<&Kept>, terms: &Terms<'_>) -> Self {
        let mut ended = Self {
            windows: vec![terms.window],
            ..Self::default()
        };
        let numbers = kept.map(|kept| ended.take_windows(kept, terms));
        for row in rows {
            let before = kept.zip(numbers.as_ref());
            let before = before.and_then(|(kept, numbers)| kept.said(row, numbers));
            ended.carried += u64::from(before.is_some());
            let said = before.unwrap_or(Said::Anew(ANEW));
            ended.said.insert(row.serial, said);
        }
        ended
    }

    /// The numbers in the new batch of the windows that may be carried over.
    fn take_windows(&mut self, kept: &Kept, terms: &Terms<'_>) -> BTreeMap<u16, u16> {
        let mut numbers = BTreeMap::new();
        let last_as_long = terms.now.saturating_add(terms.validity);
        for (number, window) in (0..).zip(&kept.header.windows) {
            let Some(responder) = kept.header.responders.get(usize::from(window.group)) else {
                continue;
            };
            let counts = terms
                .trusted
                .iter()
                .any(|signer| signer.certificate == responder.certificate);
            let fits = window.this_update <= terms.now && window.next_update >= last_as_long;
            if !counts || !fits || self.windows.len() >= MOST_WINDOWS {
                continue;
            }
            let group = self.group(responder, terms.responder);
            let window = Window { group, ..*window };
            let place = match self.windows.iter().position(|known| *known == window) {
                Some(place) => place,
                None => {
                    self.windows.push(window);
                    self.windows.len() - 1
                }
            };
            // The batch's own window is number 0.
            let place = u16::try_from(place + 1).expect("there are at most MOST_WINDOWS");
            numbers.insert(number, place);
        }
        numbers
    }

    fn group(&mut self, wanted: &batch::Responder, own: &Responder) -> u16 {
        if wanted.certificate == own.certificate {
            return 0;
        }
        let known = self.responders.iter();
        let known = known.map(|known| &known.certificate);
        let place = match known
            .enumerate()
            .find(|(_, known)| **known == wanted.certificate)
        {
            Some((place, _)) => place,
            None => {
                self.responders.push(wanted.clone());
                self.responders.len() - 1
            }
        };
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
    /// Reads them; none if they are not there, not whole, or not of a batch like `order`.
    pub(super) fn read(path: &Path, order: &Header) -> Option<Self> {
        let mut octets = std::fs::read(path).ok()?;
        let body = octets.len().checked_sub(blake3::OUT_LEN)?;
        let hash = octets.split_off(body);
        if blake3::hash(&octets).as_bytes() != hash.as_slice() {
            tracing::warn!(file = %path.display(), "damaged; what it holds is signed anew");
            return None;
        }
        let (header, from) = Header::parse(&octets).ok()?;
        let is_alike = header.issuer_id == order.issuer_id
            && header.hash_key == order.hash_key
            && (header.shards, header.shard) == (order.shards, order.shard)
            && header.variants == order.variants
            && header.slots == 1;
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

    /// Keeps the records of expired certificates of a batch that was written: those in other windows than its own.
    ///
    /// # Errors
    /// [`BatchError::File`], [`BatchError::Header`].
    pub(super) fn write(path: &Path, written: &Header, records: &[u8]) -> Result<(), BatchError> {
        let octets = written.layout().map_err(BatchError::Header)?;
        let header = Header {
            kind: Kind::Shard,
            record_count: (records.len() / octets.record_octets()) as u64,
            documents: Vec::new(),
            ..written.clone()
        };
        let mut octets = header.encode().map_err(BatchError::Header)?;
        octets.extend_from_slice(records);
        let hash = blake3::hash(&octets);
        octets.extend_from_slice(hash.as_bytes());
        let failed = |source| BatchError::File {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        durable::write(path, &octets, Secrecy::Private, Existing::Replace).map_err(failed)
    }

    /// What was said of a certificate, if it may be said again.
    fn said(&self, row: &Row, numbers: &BTreeMap<u16, u16>) -> Option<Said> {
        let from = *self.places.get(&row.serial)?;
        let octets = self.records.get(from..from + self.layout.record_octets())?;
        let record = self.layout.record(octets).ok()?;
        let window = *numbers.get(&record.window())?;
        if record.status().ok()? != row.status {
            return None;
        }
        let mut signatures = Vec::new();
        for variant in 0..self.layout.variants() {
            signatures.extend_from_slice(record.signature(variant)?);
        }
        Some(Said::AsBefore(window, signatures.into_boxed_slice()))
    }
}

/// Whether a certificate has expired.
pub(super) fn is_over(not_after: UnixSeconds, now: UnixSeconds) -> bool {
    not_after < now
}

/// The number of the window of what is signed anew: the first after the batch's own.
const ANEW: u16 = 1;
/// Windows of one batch at most: there is one for each time the shard was signed while one of them lasts.
const MOST_WINDOWS: usize = 4_096;
