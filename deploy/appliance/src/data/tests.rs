//! What would go wrong in the data folder: two owners, a moved public URL, half a founding taken for a whole one.

use std::fs;

use super::*;

fn up(public_url: Option<&str>, ocsp: Option<&str>) -> Up {
    Up {
        data: PathBuf::new(),
        ocsp: ocsp.map(|a| a.parse().unwrap()),
        admin: None,
        live: None,
        metrics: None,
        public_url: public_url.map(str::to_owned),
        nonce: "ignore".to_owned(),
        workers: None,
    }
}

fn founded() -> Recorded {
    Recorded::settle(&up(None, Some("127.0.0.1:7000")), None).unwrap()
}

#[test]
fn a_second_owner_is_refused_and_told_the_first_ones_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = Data::lock(folder.path()).unwrap();
    let refused = Data::lock(folder.path()).unwrap_err();
    assert!(
        matches!(&refused, UpError::Locked { pid, .. } if *pid == std::process::id().to_string()),
        "{refused}"
    );
    drop(first);
    Data::lock(folder.path()).unwrap();
}

#[test]
fn the_public_url_defaults_to_the_founding_ocsp_address_and_stays() {
    let founded = founded();
    assert_eq!(founded.public_url, "http://127.0.0.1:7000");
    let moved = Recorded::settle(&up(None, Some("127.0.0.1:8000")), Some(&founded)).unwrap();
    assert_eq!(
        (moved.public_url.as_str(), moved.ocsp.port()),
        ("http://127.0.0.1:7000", 8000)
    );
}

#[test]
fn another_public_url_than_founded_is_refused() {
    let founded = founded();
    Recorded::settle(&up(Some("http://127.0.0.1:7000/"), None), Some(&founded)).unwrap();
    let refused =
        Recorded::settle(&up(Some("http://other.example"), None), Some(&founded)).unwrap_err();
    assert!(matches!(refused, UpError::OtherPublicUrl { .. }));
}

#[test]
fn an_address_no_client_could_use_does_not_get_into_certificates() {
    assert!(matches!(
        Recorded::settle(&up(None, Some("0.0.0.0:80")), None),
        Err(UpError::UnspecifiedAddress { .. })
    ));
    for url in [
        "https://a.example",
        "http://",
        "http:///",
        "http://a.example/?q",
        "http://虎.example",
        "http://a\".example",
    ] {
        assert!(
            matches!(
                Recorded::settle(&up(Some(url), None), None),
                Err(UpError::PublicUrl { .. })
            ),
            "{url}"
        );
    }
}

#[test]
fn what_is_recorded_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::lock(folder.path()).unwrap();
    assert_eq!(data.recorded().unwrap(), None);
    data.record(&founded()).unwrap();
    assert_eq!(data.recorded().unwrap(), Some(founded()));
}

#[test]
fn an_unknown_key_in_the_recorded_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::lock(folder.path()).unwrap();
    fs::write(folder.path().join(RECORDED), "publik_url = \"x\"\n").unwrap();
    let refused = data.recorded().unwrap_err();
    assert!(
        matches!(&refused, UpError::Recorded { rule, .. } if rule.contains("publik_url")),
        "{refused}"
    );
}

#[test]
fn half_a_founding_is_cleared_but_staged_crls_stay() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::lock(folder.path()).unwrap();
    assert_eq!(data.state().unwrap(), State::Empty);
    fs::create_dir_all(folder.path().join("staged/abc")).unwrap();
    assert_eq!(data.state().unwrap(), State::Empty);

    data.begin_founding().unwrap();
    fs::create_dir_all(folder.path().join("signer/keys")).unwrap();
    fs::write(folder.path().join("signer/registry.sqlite"), "half").unwrap();
    assert_eq!(data.state().unwrap(), State::HalfFounded);

    data.clear_half_founded().unwrap();
    assert!(!folder.path().join("signer").exists());
    assert!(folder.path().join("staged/abc").exists());
    assert_eq!(
        data.state().unwrap(),
        State::HalfFounded,
        "the marker outlives the clearing"
    );

    fs::create_dir_all(folder.path().join("signer")).unwrap();
    fs::write(folder.path().join("signer/registry.sqlite"), "whole").unwrap();
    data.end_founding().unwrap();
    assert_eq!(data.state().unwrap(), State::Founded);
}

#[test]
fn what_founding_would_write_over_or_clear_is_left_alone() {
    for name in MADE_BY_FOUNDING {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::lock(folder.path()).unwrap();
        fs::create_dir(folder.path().join(name)).unwrap();
        let state = data.state();
        assert!(
            matches!(state, Err(UpError::NotOurs { found, .. }) if found == name),
            "{name}: {state:?}"
        );
    }
}

#[test]
fn a_killed_owner_is_told_from_one_that_ended_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let first = Data::lock(folder.path()).unwrap();
    assert!(!first.left_in_disorder);
    drop(first);
    assert!(!Data::lock(folder.path()).unwrap().left_in_disorder);
    fs::write(folder.path().join("lock"), "4711\n").unwrap();
    assert!(Data::lock(folder.path()).unwrap().left_in_disorder);
}

#[test]
fn replayed_crls_are_found_by_their_options() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::lock(folder.path()).unwrap();
    for (issuer, options) in [
        ("b", "as_of = \"2020-01-01T00:00:00Z\"\n"),
        ("a", "allow_weak = false\n"),
        ("c", "as_of = 2021-01-01T00:00:00Z\n"),
    ] {
        fs::create_dir_all(folder.path().join("staged").join(issuer)).unwrap();
        fs::write(
            folder
                .path()
                .join("staged")
                .join(issuer)
                .join("options.toml"),
            options,
        )
        .unwrap();
    }
    let expected = [
        ("b".to_owned(), "2020-01-01T00:00:00Z".to_owned()),
        ("c".to_owned(), "2021-01-01T00:00:00Z".to_owned()),
    ];
    assert_eq!(data.replayed(), expected);
}
