//! What a pack must refuse, and that what goes in comes out.

use std::path::Path;

use wire::algorithm::SignatureAlgorithm::{EcdsaP256Sha256, EcdsaP384Sha384, Rsa2048Sha256};
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

use super::index::Needle;
use super::{Find, Flaw, Pack, PackError, Scope, WriteError};
use crate::specimen::{KEY, NOW, Rows, serial, shared, signature, spec, write};

const WHOLE: Scope = Scope::Base {
    shards: 1,
    shard: 0,
};

fn rows(count: u64) -> Rows {
    (0..count)
        .map(|number| {
            let status = match number % 3 {
                0 => CertStatus::Good,
                1 => CertStatus::Revoked {
                    at: NOW - number,
                    reason: None,
                },
                _ => CertStatus::Revoked {
                    at: NOW - number,
                    reason: Some(RevocationReason::KeyCompromise),
                },
            };
            (serial(number * number), (status, (number % 5) as u16))
        })
        .collect()
}

fn find<'p>(pack: &'p Pack, serial: &Serial) -> Find<'p> {
    pack.find(&Needle::new(&KEY, serial.content()).unwrap())
}

#[test]
fn every_record_that_went_in_comes_out_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let algorithms = [EcdsaP256Sha256, EcdsaP384Sha384, Rsa2048Sha256];
    for (scope, count) in [
        (WHOLE, 0),
        (WHOLE, 1),
        (WHOLE, 2000),
        (Scope::Delta, 0),
        (Scope::Delta, 2000),
    ] {
        let path = folder.path().join("pack");
        let rows = rows(count);
        let spec = spec(1, scope, 9, shared(1, &algorithms, 5));
        let sealed = write(&path, &spec, &rows).unwrap();
        let octets = std::fs::read(&path).unwrap();
        assert_eq!(sealed.entry().blake3, crate::digest::Digest::of(&octets));
        assert_eq!(sealed.entry().octets, octets.len() as u64);
        let pack = Pack::open(&path).unwrap();
        pack.verify().unwrap();
        assert_eq!(pack.records().count() as u64, count);
        for (serial, (status, window)) in &rows {
            let Find::Here(record) = find(&pack, serial) else {
                panic!("{serial} is gone")
            };
            assert_eq!(record.serial_content(), serial.content());
            assert_eq!(
                (record.status().unwrap(), record.window()),
                (*status, *window)
            );
            for (number, algorithm) in algorithms.into_iter().enumerate() {
                assert_eq!(
                    record.signature(number).unwrap(),
                    signature(serial, algorithm, 9)
                );
            }
        }
        for number in 0..5000 {
            if !rows.contains_key(&serial(number)) {
                assert!(matches!(find(&pack, &serial(number)), Find::NotHere));
            }
        }
    }
}

/// Opens a copy of a sound pack with `damage` done to its octets.
fn damaged(folder: &Path, damage: impl FnOnce(&mut Vec<u8>)) -> Result<Pack, Flaw> {
    let sound = folder.join("sound");
    if !sound.exists() {
        let spec = spec(1, WHOLE, 9, shared(1, &[EcdsaP256Sha256], 5));
        let _ = write(&sound, &spec, &rows(100)).unwrap();
    }
    let mut octets = std::fs::read(&sound).unwrap();
    damage(&mut octets);
    let path = folder.join("damaged");
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, octets).unwrap();
    match Pack::open(&path) {
        Ok(pack) => Ok(pack),
        Err(PackError::Flawed { flaw, .. }) => Err(flaw),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_torn_file_is_refused_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let whole = damaged(folder.path(), |_| {}).unwrap().octets().len();
    for length in (1..whole).step_by(97).chain([255, 256, 257, whole - 1]) {
        let flaw = damaged(folder.path(), |octets| octets.truncate(length)).err();
        assert!(
            matches!(flaw, Some(Flaw::TooShort | Flaw::Length { .. })),
            "{length}: {flaw:?}"
        );
    }
}

#[test]
fn an_extended_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let flaw = damaged(folder.path(), |octets| octets.push(0)).err();
    assert!(matches!(flaw, Some(Flaw::Length { .. })), "{flaw:?}");
}

#[test]
fn every_flipped_bit_of_header_and_tables_is_refused_at_opening() {
    let folder = tempfile::tempdir().unwrap();
    let tables = damaged(folder.path(), |_| {}).unwrap().records;
    for place in 0..tables {
        let outcome = damaged(folder.path(), |octets| octets[place] ^= 1 << (place % 8));
        assert!(outcome.is_err(), "octet {place}");
    }
}

#[test]
fn a_flipped_octet_behind_the_tables_never_panics_and_in_the_directory_is_found_by_verify() {
    let folder = tempfile::tempdir().unwrap();
    let sound = damaged(folder.path(), |_| {}).unwrap();
    let (records, directory) = (sound.records, sound.directory);
    for place in records..sound.octets().len() {
        let pack = damaged(folder.path(), |octets| octets[place] ^= 1).unwrap();
        // A flipped serial mostly falls out of order; a flipped time or signature only the file's own hash shows.
        assert!(pack.verify().is_err() || place < directory, "octet {place}");
        for number in 0..100 {
            let _ = find(&pack, &serial(number * number));
        }
    }
}

/// A header that is consistent with its own hash: what an attacker with our format but not our key would make.
fn forged(folder: &Path, change: impl FnOnce(&mut [u8])) -> Option<Flaw> {
    damaged(folder, |octets| {
        change(octets);
        octets[224..256].fill(0);
        let tables = u64::from_le_bytes(octets[16..24].try_into().unwrap());
        let end = usize::try_from(tables)
            .unwrap_or(usize::MAX)
            .saturating_add(256)
            .min(octets.len());
        let hash = *blake3::hash(&octets[..end]).as_bytes();
        octets[224..256].copy_from_slice(&hash);
    })
    .err()
}

#[test]
fn a_header_that_claims_more_than_the_file_holds_costs_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    // Every number of the header, as large as it can be, alone.
    for (offset, width) in [
        (16, 8),
        (24, 8),
        (64, 4),
        (88, 8),
        (96, 4),
        (100, 1),
        (101, 1),
        (102, 2),
        (104, 2),
        (108, 4),
    ]
    .into_iter()
    .chain([
        (112, 8),
        (128, 8),
        (136, 8),
        (144, 8),
        (152, 8),
        (160, 8),
        (168, 8),
        (184, 4),
    ]) {
        for value in [0xff, 0x7f, 0x00] {
            let flaw = forged(folder.path(), |octets| {
                octets[offset..offset + width].fill(value);
            });
            // Without windows the file is sound as far as opening looks; every answer from it is `Damaged`.
            let sound = value == 0 && (offset == 168 || offset == 108);
            assert_eq!(
                flaw.is_none(),
                sound,
                "offset {offset}, {value:#x}: {flaw:?}"
            );
        }
    }
}

#[test]
fn another_version_and_another_kind_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        forged(folder.path(), |octets| octets[8] = 2),
        Some(Flaw::Version { found: 2 })
    );
    assert_eq!(
        forged(folder.path(), |octets| octets[10] = 3),
        Some(Flaw::Kind { found: 3 })
    );
    assert_eq!(
        forged(folder.path(), |octets| octets[0] = b'h'),
        Some(Flaw::NotAPack)
    );
}

#[test]
fn a_directory_that_points_anywhere_is_damage_and_not_absence() {
    let folder = tempfile::tempdir().unwrap();
    let directory = damaged(folder.path(), |_| {}).unwrap().directory;
    let pack = damaged(folder.path(), |octets| octets[directory..].fill(0xff)).unwrap();
    assert!(matches!(
        find(&pack, &serial(4)),
        Find::Here(_) | Find::NotHere | Find::Damaged(_)
    ));
    let pack = damaged(folder.path(), |octets| {
        for number in octets[directory..].chunks_exact_mut(8) {
            number.copy_from_slice(&[9, 0, 0, 0, 3, 0, 0, 0]);
        }
    })
    .unwrap();
    let damages = (0..100)
        .filter(|&n| matches!(find(&pack, &serial(n * n)), Find::Damaged(_)))
        .count();
    assert!(damages > 20, "{damages}");
}

#[test]
fn a_window_that_outlives_its_responder_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut late = shared(1, &[EcdsaP256Sha256], 5);
    late.windows[3].next_update = NOW + 1_000_001;
    let error = write(&folder.path().join("p"), &spec(1, WHOLE, 9, late), &rows(3)).unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::Flawed(Flaw::WindowOutsideResponder { number: 3 })
        ),
        "{error:?}"
    );
    let mut early = shared(1, &[EcdsaP256Sha256], 5);
    early.windows[0].this_update = NOW - 1001;
    let error = write(
        &folder.path().join("p"),
        &spec(1, WHOLE, 9, early),
        &rows(3),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::Flawed(Flaw::WindowOutsideResponder { number: 0 })
        ),
        "{error:?}"
    );
}

#[test]
fn what_a_pack_cannot_hold_is_refused_record_by_record() {
    use crate::durable::FsDisk;
    use crate::pack::PackWriter;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    let begin = |scope, width: u8| {
        let mut spec = spec(1, scope, 9, shared(1, &[EcdsaP256Sha256], 5));
        spec.serial_octets = width;
        PackWriter::create(&FsDisk, &path, &spec).unwrap()
    };
    let sixty_four = [&[0_u8; 64][..]];
    let long = Serial::from_unsigned(&[0x7f; 9]).unwrap();
    let error = begin(WHOLE, 8)
        .push(&long, CertStatus::Good, 0, &sixty_four)
        .unwrap_err();
    assert!(
        matches!(error, WriteError::SerialTooWide { .. }),
        "{error:?}"
    );
    let error = begin(WHOLE, 8)
        .push(&serial(1), CertStatus::Good, 5, &sixty_four)
        .unwrap_err();
    assert!(
        matches!(error, WriteError::NoSuchWindow { window: 5, .. }),
        "{error:?}"
    );
    let error = begin(WHOLE, 8)
        .push(&serial(1), CertStatus::Absent, 0, &sixty_four)
        .unwrap_err();
    assert!(
        matches!(error, WriteError::Flawed(Flaw::RecordContent { index: 0 })),
        "{error:?}"
    );
    let too_late = CertStatus::Revoked {
        at: u64::from(u32::MAX) + 1,
        reason: None,
    };
    let error = begin(WHOLE, 8)
        .push(&serial(1), too_late, 0, &sixty_four)
        .unwrap_err();
    assert!(
        matches!(error, WriteError::Flawed(Flaw::RecordContent { index: 0 })),
        "{error:?}"
    );
    let error = begin(WHOLE, 8)
        .push(&serial(1), CertStatus::Good, 0, &[&[0; 63]])
        .unwrap_err();
    assert!(
        matches!(error, WriteError::Flawed(Flaw::RecordWidth)),
        "{error:?}"
    );
    let mut twice = begin(WHOLE, 8);
    twice
        .push(&serial(1), CertStatus::Good, 0, &sixty_four)
        .unwrap();
    let error = twice
        .push(&serial(1), CertStatus::Good, 0, &sixty_four)
        .unwrap_err();
    assert!(matches!(error, WriteError::Twice { .. }), "{error:?}");
    let mut unsorted = begin(Scope::Delta, 8);
    let outcome: Result<(), WriteError> = (0..10)
        .try_for_each(|number| unsorted.push(&serial(number), CertStatus::Absent, 0, &sixty_four));
    assert!(
        matches!(outcome, Err(WriteError::Unsorted { .. })),
        "{outcome:?}"
    );
    let other = Scope::Base {
        shards: 1000,
        shard: 3,
    };
    let error = begin(other, 8)
        .push(&serial(1), CertStatus::Good, 0, &sixty_four)
        .unwrap_err();
    assert!(matches!(error, WriteError::OtherShard { .. }), "{error:?}");
}
