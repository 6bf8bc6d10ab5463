//! Partitions without a list of all: what none of them has, and what one of them had that cannot be read.

use super::*;

/// Two partitions and a base that agree at revision 5.
fn partitioned() -> (Place, [List<'static>; 2]) {
    let place = Place::new();
    let lists = [
        part_of("http://x/crl/w.1.crl", "w.1.crl", &[(2, KEY), (4, KEY)]),
        part_of("http://x/crl/w.2.crl", "w.2.crl", &[(3, KEY)]),
    ];
    let rows = [good(1), row(2), row(3), row(4)];
    assert_eq!(published(&place, &rows, 5, &lists).taken.len(), 1);
    (place, lists)
}

fn part_of(
    point: &'static str,
    name: &'static str,
    entries: &'static [(u64, RevocationReason)],
) -> List<'static> {
    List {
        name,
        point: Some(point),
        entries,
        ..WHOLE
    }
}

fn base_comes(place: &Place, number: u64, revision: u64, rows: &[Row]) -> PassReport {
    let base = Header {
        revision,
        ..place.header(number)
    };
    place.put(base, rows);
    place.pass(NOW)
}

#[test]
fn what_no_partition_has_is_excused_by_a_base_that_is_newer_than_all_of_them() {
    let (place, [one, other]) = partitioned();
    let rows = [row(1), row(2), row(3), row(4)];
    // Revoked after both lists: it may yet come on either.
    assert_eq!(base_comes(&place, 3, 6, &rows).taken.len(), 1);
    let one = List {
        number: 2,
        revision: 7,
        ..one
    };
    assert_eq!(lists_come(&place, 4, &[one]).taken.len(), 1);
    // On the one that shows no more than before.
    let rows_held = [
        row(1),
        row(2),
        row(3),
        row(4),
        dated(5, NOW, RevocationReason::CertificateHold),
    ];
    assert_eq!(base_comes(&place, 5, 8, &rows_held).taken.len(), 1);
    let other = List {
        number: 2,
        revision: 9,
        ..other
    };
    let newest = List {
        number: 3,
        revision: 9,
        ..part_of("http://x/crl/w.1.crl", "w.1.crl", &[(2, KEY), (4, KEY)])
    };
    let taken = lists_come(&place, 6, &[newest, other]);
    assert_eq!(taken.taken.len(), 1, "{taken:?}");
    // Both show now what the base before had, and the next one is newer than both: that is no excuse any more.
    let refused = base_comes(&place, 7, 12, &rows_held);
    assert_eq!(refused.refused.len(), 1, "{refused:?}");
    let why = &refused.refused[0].reason;
    assert!(why.contains("any partition's list"), "{why}");
    // A hold may have been released since, and put on again.
    let only_held = [good(1), row(2), row(3), row(4), rows_held[4]];
    let taken = base_comes(&place, 8, 12, &only_held);
    assert_eq!(taken.taken.len(), 1, "{taken:?}");
}

#[test]
fn a_base_is_refused_for_what_stands_on_a_partition_that_cannot_be_read() {
    let (place, _) = partitioned();
    let store = crate::store::Store::at(place.data.path().join("store"));
    let pins = crate::seal::read_pins(&place.data.path().join("loader/seal.pub")).unwrap();
    let current = store.read_current(&pins).unwrap().unwrap();
    let entries = &current.manifest().objects;
    let rotted = entries
        .iter()
        .find(|entry| entry.name == "w.2.crl")
        .unwrap();
    let path = store.object(rotted.blake3);
    let sound = std::fs::read(&path).unwrap();
    let rows = [good(1), row(2), row(3), row(4)];
    let first_entry = wire::crl::Places::find(&sound).unwrap().entries.start;
    let mut number = 3;
    // No list any more; a list whose entries are none.
    for octet in [0, first_entry] {
        let mut rot = sound.clone();
        rot[octet] ^= 1;
        overwrite(&path, &rot);
        let report = base_comes(&place, number, 5, &rows);
        assert!(report.refused.is_empty(), "{report:?}");
        number += 1;
    }
    overwrite(&path, &sound);
    // With both at hand it is refused for one that none has.
    let wrong = [row(1), row(2), row(3), row(4)];
    assert_eq!(base_comes(&place, number, 5, &wrong).refused.len(), 1);
}

/// Published files are not writable.
fn overwrite(path: &std::path::Path, octets: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, octets).unwrap();
}
