//! A list read in passing says what the same list says when it is held whole.

use std::io::{self, Read};

use wire::status::RevocationReason::{
    CertificateHold, KeyCompromise, RemoveFromCrl, Superseded, Unspecified,
};

use crate::durable::FsDisk;
use crate::import::crl::{Judging, judge, judge_read};
use crate::import::list::{ListError, ListReader, outline_of};
use crate::import::listed::{LISTED_OCTETS, Listed, SettleError};
use crate::import::refusal::CrlRefusal;
use crate::import::trust::WeakPolicy;
use crate::import::whose::Parties;
use crate::sort::{LEAST_MEMORY, Sorter, Sorting};
use crate::workshop::*;

const JUDGING: Judging = Judging {
    now: NOW,
    as_of: None,
    weak: WeakPolicy::Refuse,
};

/// Gives a few octets at a time, as a slow disk may.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let octets = self.0.len().min(out.len()).min(7);
        out[..octets].copy_from_slice(&self.0[..octets]);
        self.0 = &self.0[octets..];
        Ok(octets)
    }
}

/// What a list says, its oddities, and how many serials recur.
type Said = (Vec<Listed>, Vec<String>, u64);

fn in_passing(authority: &Authority, crl: impl Read, held: usize) -> Result<Said, CrlRefusal> {
    let folder = tempfile::tempdir().unwrap();
    let sorting = Sorting::in_folder(folder.path()).within(LEAST_MEMORY);
    let reader = ListReader {
        sorter: Sorter::begin(&FsDisk, &sorting, LISTED_OCTETS).unwrap(),
        hashes: None,
        key: HASH_KEY,
        parties: Parties::alone(&authority.certificate),
        held,
        progress: &mut |_| (),
    };
    let read = reader.read(crl).map_err(|error| match error {
        ListError::Decode(error) => CrlRefusal::from(error),
        other => panic!("{other}"),
    })?;
    let mut judged = judge_read(read, &authority.certificate, &JUDGING)?;
    let mut said = Vec::new();
    loop {
        match judged.settled.next_listed() {
            Ok(Some(listed)) => said.push(listed),
            Ok(None) => break,
            Err(SettleError::Fault(fault)) => return Err(fault.into()),
            Err(error) => panic!("{error}"),
        }
    }
    judged.settle().unwrap();
    assert_eq!(judged.settled.revoked, said.len() as u64);
    Ok((said, judged.odd, judged.settled.recurring))
}

fn whole(authority: &Authority, crl: &[u8]) -> Result<Said, CrlRefusal> {
    let judged = judge(crl, &authority.certificate, &JUDGING, HASH_KEY)?;
    let mut said = Vec::new();
    while let Some((hash, serial, status)) = judged.index.get(&judged.crl, said.len()) {
        said.push(Listed {
            hash,
            serial,
            status,
        });
    }
    let recurring = judged.index.recurrences.len() as u64;
    Ok((said, judged.odd, recurring))
}

fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = (10..40)
        .map(|number| (serial(number * number), NOW - number, Some(Superseded)))
        .collect();
    entries.extend([
        (serial(1), NOW - 500, Some(KeyCompromise)),
        (serial(2), NOW - 400, None),
        (serial(3), NOW - 900, Some(CertificateHold)),
        (serial(3), NOW - 800, Some(RemoveFromCrl)),
        (serial(4), NOW - 700, Some(KeyCompromise)),
        (serial(4), NOW - 900, Some(CertificateHold)),
        (serial(5), NOW - 900, Some(RemoveFromCrl)),
    ]);
    entries
}

#[test]
fn a_list_read_in_passing_says_something_else() {
    let authority = Authority::found("One");
    for entries in [Vec::new(), entries()] {
        let crl = authority.crl((NOW - 100, NOW + 86_400), 7, &entries);
        let said = whole(&authority, &crl).unwrap();
        assert_eq!(said.0.is_empty(), entries.is_empty());
        for held in [0, 1 << 20] {
            let passing = in_passing(&authority, crl.as_slice(), held).unwrap();
            assert_eq!(passing, said);
            let dripping = in_passing(&authority, Dripping(&crl), held).unwrap();
            assert_eq!(dripping, said);
        }
    }
}

#[test]
fn an_octet_that_spoils_the_whole_list_does_not_spoil_it_in_passing() {
    let authority = Authority::found("One");
    let crl = authority.crl((NOW - 100, NOW + 86_400), 7, &entries());
    for place in 0..crl.len() {
        let mut changed = crl.clone();
        changed[place] ^= 0x01;
        let refused = in_passing(&authority, changed.as_slice(), 0);
        assert!(refused.is_err(), "octet {place}");
        let cut = in_passing(&authority, &crl[..place], 0);
        assert!(matches!(cut, Err(CrlRefusal::Decode(_))), "cut at {place}");
    }
    let longer = [crl.as_slice(), &[0]].concat();
    assert_eq!(
        in_passing(&authority, longer.as_slice(), 0),
        whole(&authority, &longer)
    );
}

#[test]
fn whose_list_it_is_comes_behind_what_is_wrong_inside() {
    let (one, other) = (Authority::found("One"), Authority::found("Other"));
    // Two entries that contradict each other, in a list of somebody else's.
    let twice = [
        (serial(9), NOW - 500, Some(KeyCompromise)),
        (serial(9), NOW - 500, Some(Superseded)),
    ];
    let crl = one.crl((NOW - 100, NOW + 86_400), 7, &twice);
    assert!(matches!(
        in_passing(&other, crl.as_slice(), 0),
        Err(CrlRefusal::WrongIssuer { .. })
    ));
    assert!(matches!(
        in_passing(&one, crl.as_slice(), 0),
        Err(CrlRefusal::Entry(_))
    ));
    // A broken entry in a list that nobody signed like this: the signature is named, not the entry.
    let mut crl = one.crl((NOW - 100, NOW + 86_400), 7, &entries());
    let entry = crl.len() / 2;
    crl[entry] ^= 0xff;
    assert!(matches!(
        in_passing(&one, crl.as_slice(), 0),
        Err(CrlRefusal::Trust(_))
    ));
}

// RFC 5280 §5.3.1: the reason unspecified should be left out instead: no reason and that one are the same.
#[test]
fn no_reason_and_unspecified_contradict_each_other() {
    let authority = Authority::found("One");
    let twice = [
        (serial(9), NOW - 500, None),
        (serial(9), NOW - 500, Some(Unspecified)),
    ];
    let crl = authority.crl((NOW - 100, NOW + 86_400), 7, &twice);
    let (said, _, recurring) = in_passing(&authority, crl.as_slice(), 0).unwrap();
    assert_eq!((said.len(), recurring), (1, 1));
}

#[test]
fn a_list_of_many_runs_loses_entries_or_their_order() {
    let authority = Authority::found("One");
    let entries: Vec<Entry> = (0..20_000_u64)
        .map(|number| (serial(number * 7919), NOW - number, None))
        .collect();
    let crl = authority.crl((NOW - 100, NOW + 86_400), 7, &entries);
    let passing = in_passing(&authority, crl.as_slice(), 0).unwrap();
    assert_eq!(passing, whole(&authority, &crl).unwrap());
    assert_eq!(passing.0.len(), entries.len());
}

#[test]
fn an_outline_is_not_that_of_its_list() {
    let authority = Authority::found("One");
    let entries: Vec<Entry> = (0..20_000_u64)
        .map(|number| (serial(number), NOW - number, None))
        .collect();
    let crl = authority.crl((NOW - 100, NOW + 86_400), 7, &entries);
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, &crl).unwrap();
    let outline = outline_of(&file).unwrap();
    let outline = outline.read().unwrap();
    assert_eq!(outline.this_update, NOW - 100);
    assert_eq!(outline.extensions.number, Some(&[7][..]));
    assert_eq!(outline.entries().count(), 0);
}

#[test]
fn hashes_alone_pass_over_entries_that_are_not_plain() {
    let authority = Authority::found("One");
    // From 2050 on a date is written in another form: every third entry is not as the others are.
    let entries: Vec<Entry> = (0..3_000_u64)
        .map(|number| {
            let at = NOW - number + if number % 3 == 1 { 1 << 30 } else { 0 };
            let reason = (number % 2 == 0).then_some(KeyCompromise);
            (serial(number * 7919), at, reason)
        })
        .chain([(serial(5), NOW - 5, Some(RemoveFromCrl))])
        .collect();
    let crl = authority.crl((NOW - 100, NOW + 86_400), 7, &entries);
    let mut expected: Vec<u64> = entries
        .iter()
        .map(|(serial, ..)| HASH_KEY.hash(serial.content()))
        .collect();
    expected.sort_unstable();
    let inputs: [Box<dyn Read + '_>; 2] = [Box::new(crl.as_slice()), Box::new(Dripping(&crl))];
    for input in inputs {
        let folder = tempfile::tempdir().unwrap();
        let sorting = Sorting::in_folder(folder.path()).within(LEAST_MEMORY);
        let sorter = |width| Sorter::begin(&FsDisk, &sorting, width).unwrap();
        let progress = &mut |_| ();
        let parties = Parties::alone(&authority.certificate);
        let reader = ListReader::new(sorter(LISTED_OCTETS), HASH_KEY, parties, progress);
        let mut read = reader.hashes_only(sorter(8)).read(input).unwrap();
        assert_eq!((read.entries, read.removals), (3_001, 1));
        assert!(read.fault.is_none());
        let hashes = read.hashes.as_mut().unwrap();
        let mut found = Vec::new();
        while let Some(hash) = hashes.next_record().unwrap() {
            found.push(u64::from_be_bytes(hash.try_into().unwrap()));
        }
        assert_eq!(found, expected);
    }
}
