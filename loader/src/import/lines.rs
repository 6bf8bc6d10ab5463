//! `index.txt` or CSV read once from front to back: every line parsed, hashed on the way, its status put into a sort.
//!
//! Nothing is believed by halves: a line that is wrong is noted, reading goes on so that all of them can be told, and the
//! file is refused whole.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use wire::listing::{Columns, Listing, ListingFault, read_index_line};
use wire::serial::SerialHashKey;
use wire::status::CertStatus;
use wire::time::UnixSeconds;

use super::crl::CLOCK_LEEWAY;
use super::listed::{Listed, NUMBERED_OCTETS, Settled};
use crate::durable::FsDisk;
use crate::error::sentence;
use crate::home::Home;
use crate::sort::{SortError, Sorted, Sorter, Sorting};
use crate::staged::{self, Form};

/// A list that was read.
pub struct LinesRead {
    /// Its lines in order of (hash, serial).
    pub sorted: Sorted,
    /// What was counted.
    pub counts: Counts,
    /// The first lines that are wrong, at most [`MOST_FAULTS`].
    pub faults: Vec<LineFault>,
    /// How many are wrong in all.
    pub fault_count: u64,
    /// BLAKE3 of the whole file.
    pub blake3: [u8; 32],
}

/// How many certificates a list speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that speak of one.
    pub listed: u64,
    /// Revoked ones.
    pub revoked: u64,
    /// Expired ones, by their mark or their date.
    pub expired: u64,
    /// Serials that have a digit from A to F, which decimal ones never have.
    pub with_letters: u64,
}

/// A line that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {fault}")]
pub struct LineFault {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: ListingFault,
}

/// Why reading ended early.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The octets cannot be had.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// Its lines cannot be sorted.
    #[error(transparent)]
    Sort(#[from] SortError),
}

/// Reads such a list.
pub struct LinesReader<'d> {
    sorter: Sorter<'d>,
    key: SerialHashKey,
    now: UnixSeconds,
    counts: Counts,
    faults: Vec<LineFault>,
    fault_count: u64,
}

impl<'d> LinesReader<'d> {
    /// `sorter` takes records of [`NUMBERED_OCTETS`]; serials are hashed by `key`; `now` tells what has expired, and what
    /// cannot have happened yet.
    pub fn new(sorter: Sorter<'d>, key: SerialHashKey, now: UnixSeconds) -> Self {
        Self {
            sorter,
            key,
            now,
            counts: Counts::default(),
            faults: Vec::new(),
            fault_count: 0,
        }
    }

    /// Reads all of it. A CRL is no such list.
    pub fn read(mut self, form: Form, input: impl Read) -> Result<LinesRead, LinesError> {
        let mut input = BufReader::with_capacity(
            READ_OCTETS,
            Hashed {
                input,
                blake3: blake3::Hasher::new(),
            },
        );
        match form {
            Form::Csv => self.read_rows(&mut input)?,
            Form::Index | Form::Crl => self.read_index(&mut input)?,
        }
        // What a reader leaves unread behind the last line is part of the file all the same.
        io::copy(&mut input, &mut io::sink())?;
        Ok(LinesRead {
            sorted: self.sorter.finish()?,
            counts: self.counts,
            faults: self.faults,
            fault_count: self.fault_count,
            blake3: *input.into_inner().blake3.finalize().as_bytes(),
        })
    }

    fn read_index(&mut self, input: &mut impl BufRead) -> Result<(), LinesError> {
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = (&mut *input)
                .take(MOST_LINE_OCTETS)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            number += 1;
            let ended = line.pop_if(|last| *last == b'\n').is_some();
            if !ended && read as u64 == MOST_LINE_OCTETS {
                self.refuse(number, fault("line", "a line has at most 65,536 octets"));
                return Ok(());
            }
            // Names are the authority's business, in whatever encoding it used; what is read here is ASCII.
            match read_index_line(&String::from_utf8_lossy(&line)) {
                Ok(Some(listing)) => self.take(number, &listing, "")?,
                Ok(None) => {}
                Err(fault) => self.refuse(number, fault),
            }
        }
    }

    fn read_rows(&mut self, input: &mut impl BufRead) -> Result<(), LinesError> {
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(Impatient { input, left: 0 });
        let mut row = csv::ByteRecord::new();
        let mut columns: Option<(Columns, usize)> = None;
        loop {
            // A quotation mark that nobody closes must not make one row of the rest of the file.
            rows.get_mut().left = MOST_ROW_OCTETS;
            let last = rows.position().line();
            match rows.read_byte_record(&mut row) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) if rows.get_ref().left == 0 => {
                    self.refuse(last, fault("row", "a row has at most a mebioctet"));
                    return Ok(());
                }
                Err(error) => return Err(io::Error::other(error).into()),
            }
            let number = row.position().map_or(0, csv::Position::line);
            let text = |place: usize| row.get(place).and_then(|text| str::from_utf8(text).ok());
            let Some((columns, width)) = &columns else {
                let names = (0..row.len()).map(|place| text(place).unwrap_or("\u{fffd}"));
                match Columns::of(names) {
                    Ok(found) => columns = Some((found, row.len())),
                    Err(fault) => {
                        self.refuse(number, fault);
                        return Ok(());
                    }
                }
                continue;
            };
            if row.len() != *width {
                self.refuse(
                    number,
                    fault("row", "a row has as many fields as the header"),
                );
                continue;
            }
            match columns.read(text) {
                Ok(listing) => {
                    let serial = columns.serial_text(text);
                    self.take(number, &listing, serial)?;
                }
                Err(fault) => self.refuse(number, fault),
            }
        }
        if columns.is_none() {
            self.refuse(1, fault("header", "the first line names the columns"));
        }
        Ok(())
    }

    fn take(&mut self, number: u64, listing: &Listing, serial: &str) -> Result<(), SortError> {
        let late = match listing.status {
            CertStatus::Revoked { at, .. } => at > self.now + CLOCK_LEEWAY,
            CertStatus::Good | CertStatus::Absent => false,
        };
        if late {
            self.refuse(
                number,
                fault("revocation", "its date lies after the clock's"),
            );
            return Ok(());
        }
        if listing.status.time().is_none() {
            self.refuse(number, fault("revocation", "its date lies after 2106"));
            return Ok(());
        }
        self.counts.listed += 1;
        let revoked = listing.status != CertStatus::Good;
        let past = listing.not_after.is_some_and(|end| end < self.now);
        self.counts.revoked += u64::from(revoked);
        self.counts.expired += u64::from(listing.is_marked_expired || past);
        let letters = serial.bytes().any(|digit| digit.is_ascii_alphabetic());
        self.counts.with_letters += u64::from(letters);
        Listed::new(&self.key, listing.serial, listing.status)
            .push_numbered_to(&mut self.sorter, number)
    }

    fn refuse(&mut self, line: u64, fault: ListingFault) {
        self.fault_count += 1;
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(LineFault { line, fault });
        }
    }
}

impl LinesRead {
    /// What it says of each serial; a serial that stands there twice comes to light as it is read.
    pub fn settled(self) -> Settled {
        Settled::of_numbered(self.sorted)
    }
}

/// What a staged list without a signature says, in order under `key`; the reading of whoever holds packs against it.
pub fn settle_staged(
    opened: &staged::Opened,
    data: &Path,
    key: SerialHashKey,
    now: UnixSeconds,
) -> Result<Settled, String> {
    let sorting = Sorting::in_folder(Home::at(data).work());
    let read = Sorter::begin(&FsDisk, &sorting, NUMBERED_OCTETS)
        .map_err(LinesError::from)
        .and_then(|sorter| {
            LinesReader::new(sorter, key, now).read(opened.options.form, &opened.first().file)
        })
        .map_err(|error| sentence(&error))?;
    opened
        .first()
        .expect_unchanged(&read.blake3)
        .map_err(|error| error.to_string())?;
    match read.faults.first() {
        Some(fault) => Err(fault.to_string()),
        None => Ok(read.settled()),
    }
}

fn fault(column: &'static str, rule: &'static str) -> ListingFault {
    ListingFault {
        column,
        text: String::new(),
        rule,
    }
}

/// Gives so many octets and then an error; whoever reads on says again how many.
struct Impatient<R> {
    input: R,
    left: usize,
}

impl<R: Read> Read for Impatient<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let most = out.len().min(self.left);
        let read = self.input.read(&mut out[..most])?;
        self.left -= read;
        Ok(read)
    }
}

/// Hashes what passes.
struct Hashed<R> {
    input: R,
    blake3: blake3::Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        self.blake3.update(&out[..read]);
        Ok(read)
    }
}

/// Lines told by number; the rest is counted.
pub const MOST_FAULTS: usize = 20;
const READ_OCTETS: usize = 256 << 10;
/// A row's, and what its reader reads ahead of it.
const MOST_ROW_OCTETS: usize = 1 << 20;
/// A subject has some hundred octets.
const MOST_LINE_OCTETS: u64 = 64 << 10;
