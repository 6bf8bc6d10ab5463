//! Requests, one fault each.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/csr");
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn a_good_request_is_refused() {
    for (name, kind) in [
        ("p256.csr", KeyKind::P256),
        ("p384.csr", KeyKind::P384),
        ("rsa2048.csr", KeyKind::Rsa),
        ("sm2.csr", KeyKind::Sm2),
    ] {
        let key = verify(&fixture(name)).unwrap();
        assert_eq!(key.kind, kind, "{name}");
        // As DER, and under the old label.
        let pem = fixture(name);
        assert_eq!(verify(&der(&pem).unwrap()).as_ref(), Ok(&key));
        let old = String::from_utf8(pem)
            .unwrap()
            .replace("CERTIFICATE REQ", "NEW CERTIFICATE REQ");
        assert_eq!(verify(old.as_bytes()).as_ref(), Ok(&key));
        assert_eq!(verify(old.replace('\n', "\r\n").as_bytes()), Ok(key));
    }
}

#[test]
fn a_flipped_bit_is_not_noticed() {
    for name in ["p256.csr", "rsa2048.csr", "sm2.csr"] {
        let whole = der(&fixture(name)).unwrap();
        for place in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            assert!(verify(&flipped).is_err(), "{name}, octet {place}");
        }
    }
}

#[test]
fn a_request_cut_short_or_with_octets_behind_is_taken() {
    let whole = der(&fixture("p256.csr")).unwrap();
    for length in 0..whole.len() {
        assert_eq!(
            verify(&whole[..length]),
            Err(CsrRefused::NotCsr),
            "{length}"
        );
    }
    assert_eq!(
        verify(&[&whole[..], b"\0"].concat()),
        Err(CsrRefused::NotCsr)
    );
}

#[test]
fn a_weak_key_or_signature_is_taken() {
    assert_eq!(verify(&fixture("rsa1024.csr")), Err(CsrRefused::Key));
    assert_eq!(verify(&fixture("p521.csr")), Err(CsrRefused::Key));
    assert_eq!(
        verify(&fixture("rsa2048-sha1.csr")),
        Err(CsrRefused::Algorithm)
    );
}

#[test]
fn an_sm2_request_signed_under_another_id_is_taken() {
    assert_eq!(
        verify(&fixture("sm2-other-id.csr")),
        Err(CsrRefused::Signature)
    );
}

#[test]
fn a_certificate_or_text_is_taken_for_a_request() {
    for octets in [
        &b""[..],
        b"hello",
        b"-----BEGIN CERTIFICATE REQUEST-----\n",
        b"\x30\x00",
    ] {
        assert_eq!(verify(octets), Err(CsrRefused::NotCsr));
    }
}

#[test]
fn a_name_in_a_form_opens_another_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("csr");
    fs::create_dir(&inside).unwrap();
    fs::write(folder.path().join("secret"), "x").unwrap();
    fs::write(inside.join("a.csr"), "x").unwrap();
    fs::create_dir(inside.join("more")).unwrap();
    fs::write(inside.join("more/b.csr"), "x").unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
    let csrs = CsrFolder::open(&inside).unwrap();
    assert!(csrs.read("a.csr").is_ok());
    assert!(csrs.read("more/b.csr").is_ok());
    let absolute = folder.path().join("secret");
    for name in [
        "../secret",
        "/etc/hostname",
        "more/../../secret",
        "link",
        "..\\secret",
        "./a.csr",
        absolute.to_str().unwrap(),
    ] {
        assert_eq!(csrs.read(name), Err(CsrRefused::Outside), "{name}");
    }
    for name in ["none", "more", "a\u{0}"] {
        assert!(csrs.read(name).is_err(), "{name}");
    }
}

#[test]
fn a_pipe_or_a_huge_file_hangs_the_counter() {
    let folder = tempfile::tempdir().unwrap();
    let csrs = CsrFolder::open(folder.path()).unwrap();
    fs::write(folder.path().join("huge"), vec![0x30; 65_537]).unwrap();
    assert_eq!(csrs.read("huge"), Err(CsrRefused::TooLarge));
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert_eq!(csrs.read("pipe"), Err(CsrRefused::Unreadable));
}

/// Real requests of many kinds and the odd ones: an answer for each, never a panic.
#[test]
fn a_request_of_the_corpus_panics() {
    let Some(corpus) = std::env::var_os("HUFU_CORPUS") else {
        return;
    };
    let mut taken = 0;
    for folder in ["csr", "csr-sm2"] {
        for file in fs::read_dir(PathBuf::from(&corpus).join(folder))
            .unwrap()
            .flatten()
        {
            taken += usize::from(verify(&fs::read(file.path()).unwrap()).is_ok());
        }
    }
    assert!(taken > 10, "{taken}");
}

proptest! {
    #[test]
    fn any_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = verify(&octets);
    }

    #[test]
    fn a_mangled_request_panics(place in 0_usize..300, octet: u8) {
        let mut whole = der(&fixture("p256.csr")).unwrap();
        if let Some(there) = whole.get_mut(place) {
            *there = octet;
        }
        let _ = verify(&whole);
    }
}
