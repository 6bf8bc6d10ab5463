//! What a list without a signature says of each serial: `index.txt` and CSV, line by line.
//!
//! The loader has read it already, and refused it whole for one wrong line; the same is done here, so that neither believes
//! the other. All serials it names are signed for, good ones too.

use super::Refusal;
use super::staged::Form;
use crate::batch::Row;
use wire::listing::{Columns, Listing, read_index_line};
use wire::status::CertStatus;
use wire::time::UnixSeconds;

/// The rows of a list, in order of serials.
///
/// # Errors
/// [`Refusal`] for the first line that is wrong, or a serial that stands there twice.
pub fn settle(form: Form, list: &[u8], now: UnixSeconds) -> Result<Vec<Row>, Refusal> {
    let mut rows = Vec::new();
    let mut take = |line: u64, listing: Listing| {
        if let CertStatus::Revoked { at, .. } = listing.status
            && (at > now + CLOCK_LEEWAY_SECS || listing.status.time().is_none())
        {
            let why = "its revocation lies ahead of the clock".to_owned();
            return Err(Refusal::Line { line, why });
        }
        rows.push(Row {
            serial: listing.serial,
            status: listing.status,
        });
        Ok(())
    };
    match form {
        Form::Csv => read_rows(list, &mut take)?,
        Form::Index | Form::Crl => read_index(list, &mut take)?,
    }
    rows.sort_unstable_by_key(|row| row.serial);
    for pair in rows.windows(2) {
        if let [one, other] = pair
            && one.serial == other.serial
        {
            return Err(Refusal::Twice(one.serial));
        }
    }
    Ok(rows)
}

type Take<'a> = dyn FnMut(u64, Listing) -> Result<(), Refusal> + 'a;

fn read_index(list: &[u8], take: &mut Take<'_>) -> Result<(), Refusal> {
    let text = list.strip_suffix(b"\n").unwrap_or(list);
    for (number, line) in (1..).zip(text.split(|octet| *octet == b'\n')) {
        match read_index_line(&String::from_utf8_lossy(line)) {
            Ok(Some(listing)) => take(number, listing)?,
            Ok(None) => {}
            Err(fault) => {
                return Err(Refusal::Line {
                    line: number,
                    why: fault.to_string(),
                });
            }
        }
    }
    Ok(())
}

fn read_rows(list: &[u8], take: &mut Take<'_>) -> Result<(), Refusal> {
    let mut rows = csv::ReaderBuilder::new().from_reader(list);
    let refused = |line, why: String| Refusal::Line { line, why };
    let header = rows.byte_headers().map_err(|e| refused(1, e.to_string()))?;
    let names = header
        .iter()
        .map(|name| str::from_utf8(name).unwrap_or("\u{fffd}"));
    let columns = Columns::of(names).map_err(|fault| refused(1, fault.to_string()))?;
    let mut row = csv::ByteRecord::new();
    loop {
        match rows.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(refused(rows.position().line(), error.to_string())),
        }
        let line = row.position().map_or(0, csv::Position::line);
        let text = |place: usize| row.get(place).and_then(|text| str::from_utf8(text).ok());
        let listing = columns.read(text);
        take(
            line,
            listing.map_err(|fault| refused(line, fault.to_string()))?,
        )?;
    }
}

/// How far ahead another authority's clock may be.
const CLOCK_LEEWAY_SECS: u64 = 300;
