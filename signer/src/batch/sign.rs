//! Signs records on all cores, in order, in bounded memory.
//!
//! Records are cut into pieces; threads take the next piece, fill a buffer with whole records (each variant's signature
//! where it belongs) and hand it to the caller's thread, which writes pieces in their order and gives the buffers back.
//! Threads use their buffers again and again: what a signature costs is the signature.

use super::ended::{Ended, Said};
use super::{BatchError, Row};
use crate::key::Signer;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use wire::Rule;
use wire::batch::Header;
use wire::cert_id::cert_id_prefix;
use wire::record::RecordLayout;
use wire::response::{TbsParts, write_tbs};

/// Everything a thread needs to fill records.
pub struct Job<'a> {
    header: &'a Header,
    layout: RecordLayout,
    hands: Vec<Hand<'a>>,
    rows: &'a [Row],
    ended: &'a Ended,
}

/// One responder of the group, and what it signs of each record.
struct Hand<'a> {
    key: &'a dyn Signer,
    key_hash: [u8; 20],
    /// Its variants: their numbers in the record, the octets of a CertID before its serial.
    variants: Vec<(usize, Vec<u8>)>,
}

impl<'a> Job<'a> {
    /// All rows go into the header's first window and are signed by its group, each variant by the responder of its slot, whose key is
    /// one of `keys`, but for what `ended` says otherwise.
    ///
    /// # Errors
    /// [`BatchError::Header`] if the header contradicts itself.
    pub fn new(
        header: &'a Header,
        keys: &[&'a dyn Signer],
        rows: &'a [Row],
        ended: &'a Ended,
    ) -> Result<Self, BatchError> {
        let layout = header.layout().map_err(BatchError::Header)?;
        let hand = |(slot, key): (usize, &&'a dyn Signer)| {
            let responder = header.responders.get(slot).ok_or(Rule::FieldRange)?;
            let own = header.variants.iter().enumerate();
            let own = own.filter(|(_, variant)| usize::from(variant.slot) == slot);
            let variants = own.map(|(number, variant)| {
                let hashes = (&variant.name_hash, &variant.key_hash);
                Ok((number, cert_id_prefix(variant.form, hashes.0, hashes.1)?))
            });
            Ok(Hand {
                key: *key,
                key_hash: responder.key_hash,
                variants: variants.collect::<Result<_, _>>()?,
            })
        };
        let hands = keys.iter().enumerate().map(hand);
        Ok(Self {
            header,
            layout,
            hands: hands
                .collect::<Result<_, _>>()
                .map_err(BatchError::Header)?,
            rows,
            ended,
        })
    }

    /// Octets of one record.
    #[must_use]
    pub fn record_octets(&self) -> usize {
        self.layout.record_octets()
    }

    /// Signs one piece into `out`, which is emptied first.
    fn fill(
        &self,
        piece: usize,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), BatchError> {
        let rows = self.rows.chunks(PIECE).nth(piece).unwrap_or_default();
        let octets = self.record_octets();
        out.clear();
        out.resize(rows.len() * octets, 0);
        for (rows, records) in rows.chunks(GROUP).zip(out.chunks_mut(GROUP * octets)) {
            self.fill_group(rows, scratch, records)?;
        }
        Ok(())
    }

    /// Signs some records in one call of each key.
    fn fill_group(
        &self,
        rows: &[Row],
        scratch: &mut Scratch,
        records: &mut [u8],
    ) -> Result<(), BatchError> {
        scratch.signed.clear();
        for (place, (row, record)) in rows
            .iter()
            .zip(records.chunks_exact_mut(self.record_octets()))
            .enumerate()
        {
            let window = match self.ended.said(&row.serial) {
                Some(Said::AsBefore(window, before)) => {
                    self.write_record(row, record, *window)?;
                    self.put_signatures(record, before);
                    continue;
                }
                Some(Said::Anew(window)) => *window,
                None => 0,
            };
            self.write_record(row, record, window)?;
            scratch.signed.push((place, window));
        }
        for hand in &self.hands {
            self.sign_by(hand, rows, scratch, records)?;
        }
        Ok(())
    }

    /// Makes the signatures of one responder on the records that are signed now.
    fn sign_by(
        &self,
        hand: &Hand<'_>,
        rows: &[Row],
        scratch: &mut Scratch,
        records: &mut [u8],
    ) -> Result<(), BatchError> {
        let Scratch {
            tbs,
            ends,
            signatures,
            signed,
        } = scratch;
        if signed.is_empty() || hand.variants.is_empty() {
            return Ok(());
        }
        tbs.clear();
        ends.clear();
        for (place, window) in signed.iter() {
            if let Some(row) = rows.get(*place) {
                self.write_unsigned(hand, row, *window, tbs, ends)?;
            }
        }
        let mut from = 0;
        let mut messages = Vec::with_capacity(ends.len());
        for end in ends.iter() {
            messages.push(tbs.get(from..*end).unwrap_or_default());
            from = *end;
        }
        let octets = hand.key.algorithm().raw_octets();
        signatures.resize(messages.len() * octets, 0);
        hand.key.sign_each(&messages, signatures)?;
        let made = signatures.chunks_exact(octets * hand.variants.len());
        for ((place, _), made) in signed.iter().zip(made) {
            let from = place * self.record_octets();
            let Some(record) = records.get_mut(from..from + self.record_octets()) else {
                continue;
            };
            for ((variant, _), made) in hand.variants.iter().zip(made.chunks_exact(octets)) {
                if let Some(place) = self.layout.signature_mut(record, *variant) {
                    place.copy_from_slice(made);
                }
            }
        }
        Ok(())
    }

    /// Puts the signatures of all variants, one after another, where they belong.
    fn put_signatures(&self, record: &mut [u8], signatures: &[u8]) {
        let mut rest = signatures;
        for variant in 0..self.layout.variants() {
            if let Some(place) = self.layout.signature_mut(record, variant)
                && let Some((signature, behind)) = rest.split_at_checked(place.len())
            {
                place.copy_from_slice(signature);
                rest = behind;
            }
        }
    }

    /// Writes all of a record but its signatures.
    fn write_record(&self, row: &Row, record: &mut [u8], window: u16) -> Result<(), BatchError> {
        self.layout
            .write(record, &row.serial, row.status, window)
            .map_err(|_| BatchError::Unsayable(row.serial))
    }

    /// Adds to `tbs` what a responder signs of a record.
    fn write_unsigned(
        &self,
        hand: &Hand<'_>,
        row: &Row,
        window: u16,
        tbs: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), BatchError> {
        let unsayable = || BatchError::Unsayable(row.serial);
        let window = self.header.windows.get(usize::from(window));
        let window = window.ok_or_else(unsayable)?;
        for (_, prefix) in &hand.variants {
            let parts = TbsParts {
                key_hash: &hand.key_hash,
                produced_at: window.produced_at,
                cert_id_prefix: prefix,
                serial_content: row.serial.content(),
                status: row.status,
                this_update: window.this_update,
                next_update: window.next_update,
            };
            write_tbs(&parts, tbs).map_err(|_| unsayable())?;
            ends.push(tbs.len());
        }
        Ok(())
    }
}

/// Buffers a thread uses again and again.
#[derive(Default)]
struct Scratch {
    /// To-be-signed octets of a group, one response after another.
    tbs: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Their signatures.
    signatures: Vec<u8>,
    /// Whose they are, by place in the group, and in which window: all but those carried over.
    signed: Vec<(usize, u16)>,
}

/// Signs everything; `write` gets the records in order, some thousands at a time, on the calling thread.
///
/// # Errors
/// The first failure of a thread or of `write`; the other threads stop at their next piece.
pub fn run(
    job: &Job<'_>,
    threads: usize,
    mut write: impl FnMut(&[u8]) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    let pieces = job.rows.len().div_ceil(PIECE);
    let desk = Desk::new(pieces, threads.max(1) * AHEAD);
    std::thread::scope(|scope| {
        let sign = || {
            scope.spawn(|| {
                let mut scratch = Scratch::default();
                while let Some((piece, mut buffer)) = desk.take() {
                    let mut lost = Lost {
                        desk: &desk,
                        piece: Some(piece),
                    };
                    let filled = job.fill(piece, &mut scratch, &mut buffer).map(|()| buffer);
                    lost.piece = None;
                    desk.put(piece, filled);
                }
            })
        };
        let threads = threads.clamp(1, pieces.max(1));
        let threads: Vec<_> = (0..threads).map(|_| sign()).collect();
        let written = write_pieces(&desk, pieces, &mut write);
        for thread in threads {
            // Left to the scope, a thread's panic would become ours; the desk has told of its piece already.
            let _ = thread.join();
        }
        written
    })
}

fn write_pieces(
    desk: &Desk,
    pieces: usize,
    write: &mut impl FnMut(&[u8]) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    for _ in 0..pieces {
        let result = desk
            .next()
            .and_then(|buffer| write(&buffer).map(|()| buffer));
        match result {
            Ok(buffer) => desk.give_back(buffer),
            Err(error) => {
                desk.stop();
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Where threads take pieces and put them down; holds at most `ahead` pieces between taking and writing.
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
    ahead: usize,
}

struct State {
    next: usize,
    end: usize,
    written: usize,
    done: BTreeMap<usize, Result<Vec<u8>, BatchError>>,
    spare: Vec<Vec<u8>>,
}

impl Desk {
    fn new(end: usize, ahead: usize) -> Self {
        let state = State {
            next: 0,
            end,
            written: 0,
            done: BTreeMap::new(),
            spare: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            ahead,
        }
    }

    /// The next piece and a buffer for it; waits while too much lies unwritten.
    fn take(&self) -> Option<(usize, Vec<u8>)> {
        let mut state = self.lock();
        loop {
            if state.next >= state.end {
                return None;
            }
            if state.next < state.written + self.ahead {
                let piece = state.next;
                state.next += 1;
                return Some((piece, state.spare.pop().unwrap_or_default()));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, piece: usize, filled: Result<Vec<u8>, BatchError>) {
        self.lock().done.insert(piece, filled);
        self.changed.notify_all();
    }

    /// The next piece in order.
    fn next(&self) -> Result<Vec<u8>, BatchError> {
        let mut state = self.lock();
        loop {
            let written = state.written;
            if let Some(filled) = state.done.remove(&written) {
                state.written += 1;
                self.changed.notify_all();
                return filled;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        self.lock().spare.push(buffer);
    }

    fn stop(&self) {
        let mut state = self.lock();
        state.end = 0;
        self.changed.notify_all();
    }

    /// A thread that panicked held no half-made state: every change under the lock is complete in itself.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a piece will never come, should its thread panic: the writer would wait for it for ever.
struct Lost<'a> {
    desk: &'a Desk,
    piece: Option<usize>,
}

impl Drop for Lost<'_> {
    fn drop(&mut self) {
        if let Some(piece) = self.piece {
            self.desk.put(piece, Err(BatchError::Lost));
        }
    }
}

/// Records a thread signs in one go: a few milliseconds of work.
const PIECE: usize = 256;
/// Records signed in one call of the key: backends that batch want some dozens.
const GROUP: usize = 32;
/// Pieces a thread may be ahead of the writer.
const AHEAD: usize = 4;
