//! The status file against the database, in every state it may be found in.

use super::book::{Book, Checked};
use super::*;
use crate::ca::issue;
use crate::ca::tests::{approve, certificates, founded, now, person};
use crate::office::Office;
use crate::registry::{By, Revocation, SqliteStore, Store};
use std::path::Path;
use wire::status::RevocationReason;

const IDENTITY: Identity = Identity {
    issuer: IssuerId([3; 16]),
    hash_key: SerialHashKey([9; 16]),
};

fn entry(number: u64) -> Entry {
    let hash = blake3::hash(&number.to_le_bytes());
    let mut serial = [0; 16];
    serial.copy_from_slice(&hash.as_bytes()[..16]);
    serial[0] = (serial[0] & 0x3F) | 0x40;
    Entry {
        serial: Serial::from_content(&serial).unwrap(),
        status: match number % 5 {
            0 => CertStatus::Revoked {
                at: 1_790_000_000 + number,
                reason: Some(RevocationReason::KeyCompromise),
            },
            _ => CertStatus::Good,
        },
        not_after: 1_900_000_000 + number,
    }
}

/// Everything a file says.
fn all(file: &file::StatusFile) -> Result<Vec<Entry>, StatusError> {
    let (mut octets, mut entries, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for block in 0..file.blocks() {
        file.read_block(block, &mut octets, &mut entries)?;
        all.append(&mut entries);
    }
    Ok(all)
}

fn write(path: &Path, count: u64, most: usize) -> file::StatusFile {
    let mut sorter = sorter::Sorter::new(path, IDENTITY, most);
    (0..count).for_each(|number| sorter.push(entry(number)).unwrap());
    sorter.finish(77).unwrap()
}

#[test]
fn rows_are_lost_or_misplaced_when_memory_is_short() {
    let folder = tempfile::tempdir().unwrap();
    for (count, most) in [
        (0, 10),
        (1, 10),
        (4_096, 10_000),
        (10_000, 100_000),
        (10_000, 300),
    ] {
        let path = folder.path().join("x.status");
        let file = write(&path, count, most);
        assert_eq!((file.records, file.revision), (count, 77));
        let read = all(&file).unwrap();
        let key = |entry: &Entry| {
            let hash = IDENTITY.hash_key.hash(entry.serial.content());
            (hash, entry.serial)
        };
        let mut expected: Vec<_> = (0..count).map(entry).collect();
        expected.sort_by_key(key);
        assert_eq!(read, expected, "{count} with {most} in memory");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no leftovers"
        );
    }
}

#[test]
fn a_file_with_a_flipped_bit_or_of_another_length_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.status");
    let whole = {
        write(&path, 5_000, 100_000);
        std::fs::read(&path).unwrap()
    };
    let opens = |octets: &[u8], identity: &Identity| {
        std::fs::write(&path, octets).unwrap();
        file::StatusFile::open(&path, identity).and_then(|file| all(&file))
    };
    assert_eq!(opens(&whole, &IDENTITY).unwrap().len(), 5_000);
    for octet in (0..128)
        .chain((128..whole.len()).step_by(1_009))
        .chain([whole.len() - 1])
    {
        let mut flipped = whole.clone();
        flipped[octet] ^= 0x10;
        let read = opens(&flipped, &IDENTITY);
        assert!(
            matches!(read, Err(StatusError::Damaged { .. })),
            "octet {octet}"
        );
    }
    for length in [0, 100, 128, whole.len() - 1] {
        let read = opens(&whole[..length], &IDENTITY);
        assert!(
            matches!(read, Err(StatusError::Damaged { .. })),
            "{length} octets"
        );
    }
    let longer = [whole.as_slice(), &[0]].concat();
    assert!(opens(&longer, &IDENTITY).is_err());
    let other = Identity {
        hash_key: SerialHashKey([8; 16]),
        ..IDENTITY
    };
    assert!(opens(&whole, &other).is_err());
}

fn issued(folder: &Path) -> Office<SqliteStore> {
    let office = founded(folder);
    let rows: Vec<_> = (1..=9).map(|n| person("张三", &format!("E{n}"))).collect();
    let approved = approve(&office, "p256", &rows);
    let _ = issue::issue(&office, approved, By::signer(now()), |_| {}).unwrap();
    office
}

fn book(office: &Office<SqliteStore>, most: usize) -> Book {
    let issuer = office.issuer("p256").unwrap();
    let identity = Identity {
        issuer: IssuerId(issuer.issuer_id()),
        hash_key: SerialHashKey(issuer.row.hash_key),
    };
    Book::at(
        &office.home.status(&issuer.issuer_id()),
        identity,
        issuer.id(),
        most,
    )
}

fn revoke_one(office: &Office<SqliteStore>) -> Serial {
    let rows = certificates(office, "p256");
    let row = rows.iter().find(|row| row.revoked.is_none()).unwrap();
    let revocation = Revocation {
        id: row.id,
        reason: RevocationReason::Superseded,
        ground: "私钥泄露".to_owned(),
        at: now(),
        invalidity_date: None,
    };
    let store = office.registry.store();
    let by = By::person("officer", now());
    office
        .registry
        .drive(store.revoke(&revocation, by))
        .unwrap();
    row.serial
}

/// What a book says of all shards, and that they are disjoint and in order.
fn told(book: &mut Book, shards: u32) -> Vec<Entry> {
    let mut told = Vec::new();
    for shard in 0..shards {
        book.shard(shard, shards, &mut |entry| {
            told.push((shard, *entry));
        })
        .unwrap();
    }
    told.into_iter().map(|(_, entry)| entry).collect()
}

fn revoked(entries: &[Entry]) -> usize {
    let revoked = |entry: &&Entry| matches!(entry.status, CertStatus::Revoked { .. });
    entries.iter().filter(revoked).count()
}

#[test]
fn what_changed_since_the_file_was_written_is_not_signed() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    for most in [1, 2, 1_000] {
        let mut book = book(&office, most);
        book.catch_up(&office.registry).unwrap();
        let before = told(&mut book, 1);
        assert_eq!(before.len(), 9);
        let serial = revoke_one(&office);
        let revision = book.catch_up(&office.registry).unwrap();
        for shards in [1, 2, 7, 64, 4_096] {
            let after = told(&mut book, shards);
            assert_eq!(after.len(), 9, "{shards}");
            assert_eq!(revoked(&after), revoked(&before) + 1);
            let order: Vec<_> = after.iter().map(|entry| entry.serial).collect();
            let same: Vec<_> = before.iter().map(|entry| entry.serial).collect();
            assert_eq!(
                order, same,
                "the order does not hang on the number of shards"
            );
        }
        assert_eq!(revision, book.revision());
        assert_eq!(book.check(&office.registry).unwrap(), Checked::Agrees);
        assert!(
            told(&mut book, 3)
                .iter()
                .any(|entry| entry.serial == serial)
        );
    }
}

#[test]
fn a_certificate_issued_since_the_file_was_written_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut book = book(&office, 1_000);
    book.catch_up(&office.registry).unwrap();
    for number in 10..30 {
        let rows = [person("李四", &format!("E{number}"))];
        let approved = approve(&office, "p256", &rows);
        let _ = issue::issue(&office, approved, By::signer(now()), |_| {}).unwrap();
        book.catch_up(&office.registry).unwrap();
        let told = told(&mut book, 4);
        assert_eq!(told.len(), number);
        let key = SerialHashKey(office.issuer("p256").unwrap().row.hash_key);
        assert!(told.is_sorted_by_key(|entry| (key.hash(entry.serial.content()), entry.serial)));
    }
}

#[test]
fn a_file_that_says_other_than_the_database_stays() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut first = book(&office, 1_000);
    first.catch_up(&office.registry).unwrap();
    let path = office
        .home
        .status(&office.issuer("p256").unwrap().issuer_id());
    let stale = std::fs::read(&path).unwrap();
    revoke_one(&office);
    // A whole and sound file that says a later revision than it shows: only the database knows better.
    let identity = Identity {
        issuer: IssuerId(office.issuer("p256").unwrap().issuer_id()),
        hash_key: SerialHashKey(office.issuer("p256").unwrap().row.hash_key),
    };
    let entries = all(&file::StatusFile::open(&path, &identity).unwrap()).unwrap();
    let mut writer = file::Writer::create(&path, identity, 16).unwrap();
    for entry in &entries {
        let hash = identity.hash_key.hash(entry.serial.content());
        writer.push(hash, entry).unwrap();
    }
    let newest = office.registry.wait(|store| store.revision()).unwrap();
    writer.finish(newest).unwrap();
    let mut liar = book(&office, 1_000);
    assert_eq!(liar.check(&office.registry).unwrap(), Checked::Differed);
    assert_eq!(revoked(&told(&mut liar, 1)), 1);
    // One of an earlier revision only lags.
    std::fs::write(&path, &stale).unwrap();
    let mut late = book(&office, 1_000);
    assert_eq!(late.check(&office.registry).unwrap(), Checked::Agrees);
    assert_eq!(revoked(&told(&mut late, 1)), 1);
    // One of a later revision than the registry's: an older copy of the database was put back.
    let mut writer = file::Writer::create(&path, identity, 16).unwrap();
    let hash = identity.hash_key.hash(entry(1).serial.content());
    writer.push(hash, &entry(1)).unwrap();
    writer.finish(newest + 100).unwrap();
    let mut ahead = book(&office, 1_000);
    ahead.catch_up(&office.registry).unwrap();
    assert_eq!(told(&mut ahead, 1).len(), 9);
}
