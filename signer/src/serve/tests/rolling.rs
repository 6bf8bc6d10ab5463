//! Base shards signed again one after another, under an injected clock; the status file that they are read from.

use super::*;
use crate::settings::{Settings, SettingsConfig};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

/// An office that divides its authorities into eight shards, whatever their size.
fn divided(folder: &Path) -> Office<SqliteStore> {
    let mut office = issued(folder);
    office.settings = Settings::new(SettingsConfig {
        shards: 8,
        shard_records: 1,
        ..SettingsConfig::default()
    })
    .unwrap();
    office
}

/// Passes from `from` to `to`, `step` seconds apart; how often each shard of p256 was signed.
fn roll(
    shift: &mut Shift<'_, SqliteStore>,
    (from, to): (u64, u64),
    step: usize,
) -> BTreeMap<u64, usize> {
    let mut hours = BTreeMap::new();
    for at in (from..to).step_by(step) {
        let shards = pass(shift, at).into_iter();
        let shards = shards.filter(|w| w.0 == "p256" && w.1 == Kind::Shard);
        *hours.entry((at - from) / 3_600).or_default() += shards.count();
    }
    hours
}

#[test]
fn shards_are_signed_all_at_once_or_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let office = divided(folder.path());
    let mut shift = begin(&office);
    let first = pass(&mut shift, now());
    let shards = |written: &[(String, Kind, u64)]| {
        let shards = written.iter().filter(|w| w.1 == Kind::Shard);
        shards.map(|w| w.2).collect::<Vec<_>>()
    };
    assert_eq!(shards(&first).len(), 16);
    assert_eq!(shards(&first).iter().sum::<u64>(), 8, "every record once");
    assert_eq!(pass(&mut shift, now() + 60), []);
    // Twelve hours a round: eight turns in each, never more than one within the same hour and a half.
    let hours = roll(&mut shift, (now() + 1_200, now() + 3 * 86_400), 1_200);
    assert!(hours.values().all(|count| *count <= 1), "{hours:?}");
    let all: usize = hours.values().sum();
    assert!((40..=46).contains(&all), "{hours:?}");
}

#[test]
fn after_a_week_without_power_a_revocation_waits_for_the_shards() {
    let folder = tempfile::tempdir().unwrap();
    let office = divided(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now() - 7 * 86_400);
    revoke(&office, "sm2", RevocationReason::KeyCompromise);
    let written = pass(&mut shift, now());
    assert_eq!(written[0], ("sm2".to_owned(), Kind::Delta, 1));
    let shards = written.iter().filter(|w| w.1 == Kind::Shard).count();
    assert_eq!(shards, 16, "each once");
    assert_eq!(pass(&mut shift, now()), []);
}

#[test]
fn a_clock_that_steps_stops_the_shards() {
    let folder = tempfile::tempdir().unwrap();
    let office = divided(folder.path());
    let mut shift = begin(&office);
    let kinds = |written: Vec<(String, Kind, u64)>| {
        let shards = written.into_iter().filter(|w| w.1 == Kind::Shard);
        shards.count()
    };
    let _ = pass(&mut shift, now());
    // Ahead by a month, and set right again.
    assert_eq!(kinds(pass(&mut shift, now() + 30 * 86_400)), 16);
    assert_eq!(kinds(pass(&mut shift, now())), 16);
    assert_eq!(kinds(pass(&mut shift, now())), 0);
    // Back by a minute: nothing is dated so far ahead that it would not be believed.
    assert_eq!(kinds(pass(&mut shift, now() - 60)), 0);
    revoke(&office, "p256", RevocationReason::KeyCompromise);
    let written = pass(&mut shift, now() - 60);
    assert_eq!(written[0], ("p256".to_owned(), Kind::Delta, 1));
}

#[test]
fn an_authority_that_grows_is_divided_in_pieces_that_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    drop(shift);
    office.settings = divided(&folder.path().join("other")).settings;
    let mut shift = begin(&office);
    let written = pass(&mut shift, now());
    // The loader refuses a shard beside others of another division: all at once.
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(written.iter().all(|w| w.1 == Kind::Full && w.2 == 4));
    assert_eq!(newest(&office, "p256", Kind::Full).header.shards, 8);
    assert_eq!(office.issuer("p256").unwrap().row.shards, 8);
    assert_eq!(pass(&mut shift, now()), []);
    // From then on by shards.
    let next = pass(&mut shift, now() + 20 * 3_600);
    assert!(next.iter().all(|w| w.1 != Kind::Full), "{next:?}");
}

#[test]
fn a_form_enabled_later_is_not_signed_before_the_next_turn() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = issued(folder.path());
    let _ = pass(&mut begin(&office), now());
    let config = "[issuer.p256]\nforms = [\"sha1\", \"sha256\", \"sha1-no-parameters\"]\n";
    office.settings = Settings::new(toml::from_str(config).unwrap()).unwrap();
    let mut shift = begin(&office);
    assert_eq!(
        pass(&mut shift, now()),
        [("p256".to_owned(), Kind::Full, 4)]
    );
    let header = newest(&office, "p256", Kind::Full).header;
    assert_eq!(header.variants.len(), 3);
    revoke(&office, "p256", RevocationReason::KeyCompromise);
    let _ = pass(&mut shift, now());
    let header = newest(&office, "p256", Kind::Delta).header;
    assert_eq!(header.variants.len(), 3);
    assert_eq!(pass(&mut shift, now()), []);
}

#[test]
fn a_flipped_bit_of_the_status_file_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let id = office.issuer("p256").unwrap().issuer_id();
    let path = office.home.status(&id);
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    // While it is open: the status of every record, one octet after the serial.
    let length = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for record in 0..4 {
        let width = (length - 128 - 40) / 4;
        let octet = 128 + record * width + (width - 13);
        file.write_all_at(&[0xFF], octet).unwrap();
    }
    let report = shift.pass(&|| now() + 20 * 3_600, &|_| {}).unwrap();
    assert!(!report.faults.is_empty(), "it is told");
    let again = pass(&mut shift, now() + 20 * 3_600);
    assert!(
        again.contains(&("p256".to_owned(), Kind::Full, 4)),
        "{again:?}"
    );
    let full = newest(&office, "p256", Kind::Full);
    let layout = full.header.layout().unwrap();
    let said = full.records.chunks(layout.record_octets()).find_map(|r| {
        let record = layout.record(r).unwrap();
        (record.serial_content() == revoked.content()).then(|| record.status().unwrap())
    });
    assert!(matches!(said, Some(CertStatus::Revoked { .. })), "{said:?}");
    // At the next start: cut short, and gone.
    drop(shift);
    file.set_len(200).unwrap();
    for day in 2..4 {
        let mut shift = begin(&office);
        let written = pass(&mut shift, now() + day * 86_400);
        assert!(
            written.contains(&("p256".to_owned(), Kind::Full, 4)),
            "{written:?}"
        );
        drop(shift);
        std::fs::remove_file(&path).unwrap();
    }
}
