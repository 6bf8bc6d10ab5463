//! What rots in the publisher's own store keeps nothing from the edges, which have it sound.

use std::path::{Path, PathBuf};

use wire::batch::{Document, DocumentKind, Header, Kind};
use wire::serial::SerialHashKey;
use wire::status::{CertStatus, RevocationReason};

use super::{Place, good};
use crate::durable::FsDisk;
use crate::manifest::Role;
use crate::run::Line;
use crate::workshop::*;

/// What may come upon a file, by its path.
const MISHAPS: [fn(&Path); 4] = [
    |path| std::fs::remove_file(path).unwrap(),
    |path| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len(20).unwrap();
    },
    |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, b"torn").unwrap();
    },
    |path| {
        let octets = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, vec![0; octets.len()]).unwrap();
    },
];

fn path_of(place: &Place, line: &Line<'_>, hit: impl Fn(&Role) -> bool) -> PathBuf {
    let manifest = line.publisher().current().unwrap();
    let entry = manifest.objects.iter().find(|entry| hit(&entry.role));
    let name = entry.unwrap().blake3.to_string();
    place.data.path().join("store/objects").join(name)
}

fn revoke(place: &Place, number: u64) -> Row {
    let row = (
        serial(number),
        revoked(NOW - number, RevocationReason::KeyCompromise),
        0,
    );
    let header = Header {
        kind: Kind::Delta,
        ..place.header(number)
    };
    place.put(header, &[row]);
    row
}

#[test]
fn a_file_that_rots_in_the_publishers_store_stops_every_revocation() {
    let roles: [fn(&Role) -> bool; 3] = [
        |role| matches!(role, Role::Delta(_)),
        |role| matches!(role, Role::Base(_)),
        |role| matches!(role, Role::Crl(_)),
    ];
    for (role, mishap) in (0..roles.len()).flat_map(|role| MISHAPS.map(|mishap| (role, mishap))) {
        let place = Place::new();
        let document = Document {
            kind: DocumentKind::Crl,
            name: "workshop.crl".to_owned(),
            octets: place.authority.crl((NOW, NOW + 86_400), 1, &[]),
            list: None,
        };
        let header = Header {
            documents: vec![document],
            ..place.header(1)
        };
        place.put(header, &[good(1), good(2), good(3), good(4)]);
        let mut line = place.line(&FsDisk);
        line.pass(NOW, &mut |_, _| ()).unwrap();
        revoke(&place, 2);
        line.pass(NOW + 1, &mut |_, _| ()).unwrap();
        assert_eq!(line.damaged_files(), 0);
        let path = path_of(&place, &line, roles[role]);
        let sound = std::fs::read(&path).unwrap();
        mishap(&path);
        let third = revoke(&place, 3);
        let report = line.pass(NOW + 2, &mut |_, _| ()).unwrap();
        assert_eq!((report.generation, report.taken.len()), (Some(3), 1));
        // A list is not looked into.
        let is_seen =
            role < 2 || std::fs::metadata(&path).map_or(0, |file| file.len()) != sound.len() as u64;
        assert_eq!(line.damaged_files(), usize::from(is_seen));
        // Started since.
        drop(line);
        let mut line = place.line(&FsDisk);
        let fourth = revoke(&place, 4);
        let report = line.pass(NOW + 3, &mut |_, _| ()).unwrap();
        assert_eq!((report.generation, report.taken.len()), (Some(4), 1));
        assert_eq!(line.damaged_files(), usize::from(is_seen));
        // Copied back; it is still named, and all is there.
        std::fs::write(path.with_extension("new"), sound).unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
        let report = line.pass(NOW + 3_600, &mut |_, _| ()).unwrap();
        assert!(report.resealed);
        assert_eq!(line.damaged_files(), 0);
        for row in [third, fourth] {
            assert_eq!(
                place.status(if row.0 == third.0 { 3 } else { 4 }),
                Some(row.1)
            );
        }
    }
}

#[test]
fn revocations_wait_because_the_only_pack_of_their_issuer_rots() {
    for mishap in MISHAPS {
        let place = Place::new();
        place.put(place.header(1), &[good(1), good(2), good(3)]);
        let mut line = place.line(&FsDisk);
        line.pass(NOW, &mut |_, _| ()).unwrap();
        let path = path_of(&place, &line, |role| matches!(role, Role::Base(_)));
        let sound = std::fs::read(&path).unwrap();
        mishap(&path);
        let stranger = Header {
            kind: Kind::Delta,
            hash_key: SerialHashKey([7; 16]),
            ..place.header(2)
        };
        place.put(stranger, &[good(1)]);
        let report = line.pass(NOW + 1, &mut |_, _| ()).unwrap();
        assert!(report.refused[0].reason.contains("hash key"), "{report:?}");
        revoke(&place, 3);
        let report = line.pass(NOW + 2, &mut |_, _| ()).unwrap();
        assert_eq!((report.generation, report.taken.len()), (Some(2), 1));
        assert_eq!(line.damaged_files(), 1);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, sound).unwrap();
        assert!(
            place
                .status(3)
                .is_some_and(|status| status != CertStatus::Good)
        );
    }
}

#[test]
fn a_stranger_is_published_beside_a_pack_that_nobody_could_open_since_the_start() {
    let place = Place::new();
    place.put(place.header(1), &[good(1), good(2)]);
    let mut line = place.line(&FsDisk);
    line.pass(NOW, &mut |_, _| ()).unwrap();
    let path = path_of(&place, &line, |role| matches!(role, Role::Base(_)));
    let sound = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    drop(line);
    let mut line = place.line(&FsDisk);
    let stranger = Header {
        kind: Kind::Delta,
        hash_key: SerialHashKey([7; 16]),
        ..place.header(2)
    };
    place.put(stranger, &[good(1)]);
    // Nobody knows, and others are not kept from going on.
    let report = line.pass(NOW + 1, &mut |_, _| ()).unwrap();
    assert_eq!((report.generation, report.put_off.len()), (None, 1));
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(report.put_off[0].reason.contains(name), "{report:?}");
    std::fs::write(&path, sound).unwrap();
    let report = line.pass(NOW + 2, &mut |_, _| ()).unwrap();
    assert_eq!((report.refused.len(), report.put_off.len()), (1, 0));
    assert!(report.refused[0].reason.contains("hash key"), "{report:?}");
}
