//! From the octets of a file to named cells: encoding, CSV, headers. Nothing here knows what a cell means.
//!
//! Chinese spreadsheets write GB18030 or UTF-8 with a byte order mark; others plain UTF-8. What is valid
//! UTF-8 is read as such; the rest must be GB18030 without a single error.

use std::borrow::Cow;

use csv::StringRecord;

use super::column::{Column, Form};
use super::rule::FormRefused;

/// Octets of the largest form.
pub const MAX_FORM_OCTETS: usize = 64 << 20;
/// Rows of the longest form.
pub const MAX_ROWS: usize = 200_000;

/// A form read into cells.
#[derive(Debug)]
pub struct Sheet {
    columns: Vec<&'static Column>,
    lines: Vec<Line>,
}

/// One line of a form.
#[derive(Debug)]
pub struct Line {
    /// Line in the file; 1 is the header. Cells may span lines, so this is not the row's number.
    pub number: u64,
    cells: StringRecord,
}

impl Sheet {
    /// Reads a file as a form.
    pub fn read(form: &Form, octets: &[u8]) -> Result<Self, FormRefused> {
        if octets.len() > MAX_FORM_OCTETS {
            return Err(FormRefused::TooLarge {
                found: octets.len(),
                most: MAX_FORM_OCTETS,
            });
        }
        let text = decode(octets)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut records = reader
            .records()
            .map(|record| record.map_err(|error| not_csv(&error)));
        let header = records.next().ok_or(FormRefused::Empty)??;
        let columns = columns(form, &header)?;
        let mut counter = LineCounter::new(&text);
        let mut lines = Vec::new();
        for record in records {
            let cells = record?;
            // Spreadsheets export rows that were once touched as commas only.
            if cells.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if lines.len() == MAX_ROWS {
                return Err(FormRefused::TooManyRows(MAX_ROWS));
            }
            let number = counter.line_of(&cells);
            lines.push(Line { number, cells });
        }
        if lines.is_empty() {
            return Err(FormRefused::Empty);
        }
        Ok(Self { columns, lines })
    }

    /// Its columns, in the order of the file.
    #[must_use]
    pub fn columns(&self) -> &[&'static Column] {
        &self.columns
    }

    /// Its lines below the header, without empty ones.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

impl Line {
    /// Cells in this line.
    #[must_use]
    pub fn cell_count(&self) -> usize {
        self.cells.len()
    }

    /// The cell at a place, without surrounding blanks; empty if there is none.
    #[must_use]
    pub fn cell(&self, place: usize) -> &str {
        self.cells.get(place).unwrap_or_default().trim()
    }
}

/// Counts lines as an editor shows them. The csv crate's own count stops at the carriage return of a CRLF
/// and is one short from the second row on.
struct LineCounter<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> LineCounter<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            line: 1,
        }
    }

    /// The line a record begins on; records come in the order of the file.
    fn line_of(&mut self, record: &StringRecord) -> u64 {
        let from = record.position().map_or(0, csv::Position::byte);
        let mut from = usize::try_from(from).unwrap_or(self.text.len());
        // The ends of the line before, and blank lines, count towards this record's position.
        while matches!(self.text.get(from), Some(b'\r' | b'\n')) {
            from += 1;
        }
        while self.at < from {
            let next = self.text.get(self.at + 1);
            match self.text.get(self.at) {
                Some(b'\n') => self.line += 1,
                Some(b'\r') if next != Some(&b'\n') => self.line += 1,
                _ => {}
            }
            self.at += 1;
        }
        self.line
    }
}

fn decode(octets: &[u8]) -> Result<Cow<'_, str>, FormRefused> {
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        return Ok(Cow::Borrowed(text));
    }
    let text = encoding_rs::GB18030
        .decode_without_bom_handling_and_without_replacement(octets)
        .ok_or(FormRefused::NotText)?;
    // GB18030 can carry a byte order mark too (84 31 95 33).
    Ok(match text.strip_prefix('\u{FEFF}') {
        Some(rest) => Cow::Owned(rest.to_owned()),
        None => text,
    })
}

fn columns(form: &Form, header: &StringRecord) -> Result<Vec<&'static Column>, FormRefused> {
    let mut unknown = Vec::new();
    let mut columns: Vec<&'static Column> = Vec::with_capacity(header.len());
    for cell in header {
        match form.column(cell) {
            Some(column) if columns.contains(&column) => {
                return Err(FormRefused::ColumnTwice(name(column)));
            }
            Some(column) => columns.push(column),
            // A name of hostile length or content is not echoed whole.
            None => unknown.push(format!("{:?}", cell.chars().take(40).collect::<String>())),
        }
    }
    if !unknown.is_empty() {
        unknown.truncate(20);
        return Err(FormRefused::UnknownColumns(unknown));
    }
    let missing = form
        .columns
        .iter()
        .filter(|c| c.required && !columns.contains(c));
    let missing: Vec<_> = missing.map(|column| name(column)).collect();
    if !missing.is_empty() {
        return Err(FormRefused::MissingColumns(missing));
    }
    Ok(columns)
}

fn name(column: &Column) -> String {
    format!("{} {}", column.chinese, column.english)
}

fn not_csv(error: &csv::Error) -> FormRefused {
    FormRefused::Csv {
        line: error.position().map_or(0, csv::Position::line),
    }
}
