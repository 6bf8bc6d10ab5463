//! The fuzz body of the list reader and of the PEM reader.

use alloc::vec::Vec;

use super::{
    Crl, MAX_ENTRY_OCTETS, Outline, PemLabel, Places, directory_names, next_entry, pem_or_der,
    plain_entry,
};
use crate::serial::Serial;
use crate::{DecodeError, Rule};

/// Reads `octets` as a list with all its entries and checks what callers rely on.
pub fn fuzz_crl(octets: &[u8]) {
    read_alike(octets);
    let list = match Crl::parse(octets) {
        Ok(list) => list,
        Err(error) => {
            assert!(error.offset <= octets.len(), "{error}");
            return;
        }
    };
    let mut entries = list.entries();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => {
                assert_eq!(list.entry_at(entry.offset), Ok(entry));
                let names = entry.certificate_issuer.unwrap_or_default();
                let found = directory_names(names).unwrap_or_default();
                assert!(found.len() <= names.len() / 4);
            }
            Err(error) => {
                assert!(error.offset <= octets.len(), "{error}");
                assert!(entries.next().is_none());
            }
        }
    }
    assert!(list.entries().count() <= octets.len() / 2);
}

/// What is read in pieces is taken if and only if it is taken whole, and says the same.
fn read_alike(octets: &[u8]) {
    let whole = Crl::parse(octets).and_then(|list| {
        let long =
            |entry: &super::CrlEntry<'_>, next: usize| next - entry.offset > MAX_ENTRY_OCTETS;
        let entries: Vec<_> = list.entries().collect::<Result<_, _>>()?;
        let ends = entries.iter().skip(1).map(|entry| entry.offset);
        // No list has such entries; what is read in pieces has a bound, and a last entry's end is not known here.
        if entries
            .iter()
            .zip(ends)
            .any(|(entry, next)| long(entry, next))
        {
            return Err(Rule::TooLong.at(0));
        }
        Ok((
            list,
            entries.iter().map(|entry| entry.serial).collect::<Vec<_>>(),
        ))
    });
    let pieces = in_pieces(octets, 4096);
    match (whole, pieces) {
        (Ok((list, serials)), Ok(pieces)) => {
            assert_eq!(serials, pieces);
            let places = Places::find(octets).expect("it was just read");
            assert_eq!(octets.get(places.tbs.clone()), Some(list.tbs));
            assert_eq!(octets.get(places.algorithm.clone()), Some(list.algorithm));
            assert_eq!(octets.get(places.issuer.clone()), Some(list.issuer));
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) => assert_eq!(error.rule, Rule::TooLong, "{error}"),
        (Err(error), Ok(_)) => panic!("whole: {error}; in pieces nothing is wrong"),
    }
}

/// The serials of a list of which never more than `most` octets are at hand beyond one entry; reads all of it.
pub(super) fn in_pieces(octets: &[u8], most: usize) -> Result<Vec<Serial>, DecodeError> {
    let places = Places::find(octets)?;
    if places.end != octets.len() {
        return Err(Rule::TrailingOctets.at(places.end));
    }
    let mut serials = Vec::new();
    let mut at = places.entries.start;
    let mut at_hand = most;
    while at < places.entries.end {
        let end = places.entries.end.min(at + at_hand);
        let piece = octets.get(at..end).unwrap_or_default();
        plain_alike(piece, at, places.is_v2);
        match next_entry(piece, at, places.is_v2)? {
            Some((entry, length)) => {
                serials.push(entry.serial);
                at += length;
                at_hand = most;
            }
            None if end == places.entries.end => return Err(Rule::Truncated.at(at)),
            None => at_hand += most,
        }
    }
    let tail = octets.get(places.tail()).unwrap_or_default();
    Outline::new(&places, octets, tail)?.read()?;
    Ok(serials)
}

/// What is read as a plain entry is one, and says the same.
fn plain_alike(piece: &[u8], at: usize, is_v2: bool) {
    let Some(plain) = plain_entry(piece, is_v2) else {
        return;
    };
    let read = next_entry(piece, at, is_v2).expect("a plain entry has no fault");
    let (entry, length) = read.expect("a plain entry is there whole");
    assert_eq!(plain.serial, entry.serial.content());
    assert_eq!(
        (plain.revoked_at, plain.reason, plain.length),
        (entry.revoked_at, entry.reason, length)
    );
    assert!(entry.unknown_critical.is_none() && entry.certificate_issuer.is_none());
}

/// Reads `octets` as PEM or DER.
pub fn fuzz_pem(octets: &[u8]) {
    for label in [PemLabel::Crl, PemLabel::Certificate] {
        if let Ok(der) = pem_or_der(octets, label) {
            assert!(der.len() <= octets.len());
        }
    }
}
