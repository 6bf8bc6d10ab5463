//! Staging: what goes in must not go backwards, and comes out as it went in.

use std::path::Path;

use crate::import::crl::Judging;
use crate::import::file::{Company, CrlImport, Report, import_crl};
use crate::import::trust::WeakPolicy;
use crate::staged::{self, StagedError};
use crate::workshop::*;

fn import(data: &Path, authority: &Authority, crl: &[u8]) -> Result<Report, String> {
    let files = tempfile::tempdir().unwrap();
    let (list, issuer) = (files.path().join("a.crl"), files.path().join("a.cer"));
    std::fs::write(&list, crl).unwrap();
    std::fs::write(&issuer, &authority.certificate.der).unwrap();
    let judging = Judging {
        now: NOW,
        as_of: None,
        weak: WeakPolicy::Refuse,
    };
    import_crl(&CrlImport {
        crl: &list,
        issuer: &issuer,
        crl_issuer: None,
        data,
        judging,
        company: Company::default(),
    })
    .map_err(|error| error.to_string())
}

#[test]
fn a_list_goes_backwards() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::found("One");
    let end = NOW + 86_400;
    let list = |this_update, number| authority.crl((this_update, end), number, &[]);
    import(data.path(), &authority, &list(NOW - 50, 5)).unwrap();
    let older = import(data.path(), &authority, &list(NOW - 51, 6)).unwrap_err();
    assert!(older.contains("lies before the staged list's"), "{older}");
    let lower = import(data.path(), &authority, &list(NOW - 49, 4)).unwrap_err();
    assert!(lower.contains("CRL number 04 is below"), "{lower}");
    // 128 has two octets as an INTEGER, the first a zero: it must not compare as a smaller one.
    import(data.path(), &authority, &list(NOW - 49, 128)).unwrap();
    assert!(import(data.path(), &authority, &list(NOW - 49, 127)).is_err());
    import(data.path(), &authority, &list(NOW - 49, 256)).unwrap();
    let again = import(data.path(), &authority, &list(NOW - 49, 257)).unwrap();
    assert!(again.odd[0].contains("same thisUpdate"), "{:?}", again.odd);
}

#[test]
fn what_was_refused_replaces_what_was_staged() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::found("One");
    let crl = authority.crl((NOW - 50, NOW + 100), 5, &[]);
    let report = import(data.path(), &authority, &crl).unwrap();
    assert!(import(data.path(), &authority, &crl[..crl.len() - 1]).is_err());
    let staged = staged::read(data.path(), &report.issuer_id)
        .unwrap()
        .unwrap();
    assert_eq!(staged.crl, crl);
    assert_eq!(staged.issuer, authority.certificate.der);
    assert_eq!(
        (staged.options.as_of, staged.options.allow_weak),
        (None, false)
    );
    assert_eq!(staged::issuers(data.path()).unwrap(), [report.issuer_id]);
    // Nothing of the swap is left.
    let left = std::fs::read_dir(data.path().join("staged"))
        .unwrap()
        .count();
    assert_eq!(left, 1);
}

#[test]
fn a_staged_file_changed_on_disk_is_read() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::found("One");
    let crl = authority.crl((NOW - 50, NOW + 100), 5, &[]);
    let report = import(data.path(), &authority, &crl).unwrap();
    let file = report.staged.join("crl.der");
    let mut octets = crl.clone();
    octets[100] ^= 1;
    std::fs::write(&file, octets).unwrap();
    assert!(matches!(
        staged::read(data.path(), &report.issuer_id),
        Err(StagedError::Changed { .. })
    ));
    std::fs::write(report.staged.join("options.toml"), "allow_weak = maybe").unwrap();
    assert!(matches!(
        staged::read(data.path(), &report.issuer_id),
        Err(StagedError::Options { .. })
    ));
    // Importing again is the way out, and says so.
    let again = import(data.path(), &authority, &crl).unwrap();
    assert!(again.odd[0].contains("damaged"), "{:?}", again.odd);
    assert!(
        staged::read(data.path(), &report.issuer_id)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_staged_list_that_cannot_be_read_just_now_is_taken_for_a_damaged_one() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::found("One");
    let list = |this_update, number| authority.crl((this_update, NOW + 100), number, &[]);
    let report = import(data.path(), &authority, &list(NOW - 50, 5)).unwrap();
    for name in ["crl.der", "options.toml"] {
        let (file, aside) = (report.staged.join(name), data.path().join("aside"));
        std::fs::rename(&file, &aside).unwrap();
        // Leads to itself: the system gives an error that says nothing of the file.
        std::os::unix::fs::symlink(&file, &file).unwrap();
        let why = import(data.path(), &authority, &list(NOW - 60, 4)).unwrap_err();
        assert!(why.contains(name), "{why}");
        std::fs::remove_file(&file).unwrap();
        std::fs::rename(&aside, &file).unwrap();
    }
    let older = import(data.path(), &authority, &list(NOW - 60, 4)).unwrap_err();
    assert!(older.contains("never goes backwards"), "{older}");
}

#[test]
fn a_time_is_read_as_another() {
    for (text, seconds) in [
        ("2022-03-11T00:00:00Z", 1_646_956_800),
        ("2022-03-11", 1_646_956_800),
        ("2022-03-11T08:00:00+08:00", 1_646_956_800),
        ("@1646956800", 1_646_956_800),
    ] {
        assert_eq!(staged::parse_rfc3339(text), Ok(seconds), "{text}");
    }
    for text in [
        "",
        "yesterday",
        "2022-03-11 00:00",
        "1646956800",
        "1969-12-31",
        "@-1",
    ] {
        assert!(staged::parse_rfc3339(text).is_err(), "{text}");
    }
    assert_eq!(staged::rfc3339(1_646_956_800), "2022-03-11T00:00:00Z");
}
