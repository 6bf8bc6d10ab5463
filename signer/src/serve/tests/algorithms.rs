//! Responses signed with more than one algorithm, each judged by OpenSSL.

use super::*;
use crate::settings::Settings;
use wire::algorithm::SignatureAlgorithm::{self, EcdsaP256Sha256, Ed25519, Rsa2048Sha256};

/// Settings by which `p256` signs with these too.
fn beside(names: &str) -> Settings {
    let config = format!("[issuer.p256]\nocsp-algorithms = [{names}]\n");
    Settings::new(toml::from_str(&config).unwrap()).unwrap()
}

/// What each slot of a batch signs with, as its variants say it, form by form.
fn algorithms(batch: &Batch) -> Vec<(u16, SignatureAlgorithm)> {
    let variants = batch.header.variants.iter();
    variants.map(|one| (one.slot, one.algorithm)).collect()
}

/// Has OpenSSL judge what a batch says of a certificate by the variant of that number; its words.
fn judged(here: &Path, batch: &Batch, serial: &Serial, variant: usize) -> String {
    std::fs::write(here.join("r.der"), batch.response(serial, variant)).unwrap();
    // The two forms of an authority that is not SM2's, whatever they are signed with.
    let digest = ["-sha1", "-sha256"][variant % 2];
    let number = format!("0x{serial}");
    let out = openssl(
        here,
        &[
            "ocsp",
            digest,
            "-respin",
            "r.der",
            "-issuer",
            "p256.pem",
            "-serial",
            &number,
            "-CAfile",
            "p256-chain.pem",
            "-no_nonce",
            "-resp_text",
        ],
    );
    let verdict = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        verdict.contains("Response verify OK"),
        "{variant}: {verdict}"
    );
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    // The response's own, which stands before the certificate's.
    let signed_with = text.find("Signature Algorithm: ").map(|at| &text[at..]);
    let named = match batch.header.variants[variant].algorithm {
        EcdsaP256Sha256 => "ecdsa-with-SHA256",
        Rsa2048Sha256 => "sha256WithRSAEncryption",
        _ => "ED25519",
    };
    let signed_with = signed_with.unwrap_or_default();
    assert!(
        signed_with.starts_with(&format!("Signature Algorithm: {named}\n")),
        "{signed_with}"
    );
    text
}

#[test]
fn what_is_signed_with_a_second_algorithm_is_refused_by_openssl_or_misses_a_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut office = issued(here);
    office.settings = beside("\"ed25519\", \"rsa-2048-sha256\"");
    chain_file(&office, here, "p256");
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let full = newest(&office, "p256", Kind::Full);
    let slots = [EcdsaP256Sha256, Rsa2048Sha256, Ed25519];
    let slots = (0..).zip(slots).flat_map(|one| [one, one]);
    assert!(algorithms(&full).into_iter().eq(slots));
    assert_eq!((full.header.slots, full.header.responders.len()), (3, 3));
    // Three persons and three signers, each by two forms and three algorithms.
    assert_eq!(full.serials().len(), 6);
    let asked = full.serials()[0];
    for variant in 0..6 {
        let text = judged(here, &full, &asked, variant);
        assert!(text.contains(": good"), "{text}");
    }
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    let _ = pass(&mut shift, now());
    let delta = newest(&office, "p256", Kind::Delta);
    assert_eq!(algorithms(&delta), algorithms(&full));
    for variant in 0..6 {
        let text = judged(here, &delta, &revoked, variant);
        assert!(text.contains(": revoked"), "{text}");
    }
    // Who has no other is signed as before.
    let sm2 = newest(&office, "sm2", Kind::Full).header;
    assert_eq!((sm2.slots, sm2.variants.len()), (1, 4));
}

#[test]
fn an_algorithm_enabled_later_is_not_signed_before_the_next_turn() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = issued(folder.path());
    let _ = pass(&mut begin(&office), now());
    let plain = newest(&office, "p256", Kind::Full).header;
    for (names, slots) in [
        ("\"ed25519\"", 2),
        ("\"ecdsa-p384-sha384\"", 2),
        ("", 1),
        ("\"ed25519\"", 2),
    ] {
        office.settings = beside(names);
        let mut shift = begin(&office);
        let written = pass(&mut shift, now());
        let is_full = |w: &(String, Kind, u64)| w.0 == "p256" && w.1 == Kind::Full;
        assert!(written.iter().any(is_full), "{names}: {written:?}");
        let header = newest(&office, "p256", Kind::Full).header;
        let own = plain.responders[0].certificate == header.responders[0].certificate;
        assert!(own, "the own signer needs no successor");
        assert_eq!(header.slots, slots, "{names}");
        if names.is_empty() {
            assert_eq!(header.variants, plain.variants);
        }
        // The new signer's certificate is told, and then all is.
        let _ = pass(&mut shift, now());
        assert_eq!(pass(&mut shift, now()), [], "{names}");
    }
    // Enabled again, the signer of before went on.
    let issuer = office.issuer("p256").unwrap();
    let signers = office
        .registry
        .wait(|store| store.ocsp_signers(issuer.id(), now()));
    assert_eq!(signers.unwrap().len(), 3);
}

#[test]
fn only_the_own_algorithm_gets_a_successor_or_a_dead_key_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = issued(folder.path());
    office.settings = beside("\"ed25519\"");
    let keys = || office.keyring.names_beginning("p256-ocsp-").unwrap().len();
    let begun = now();
    let signed_by = |at| {
        let _ = pass(&mut begin(&office), at);
        let header = newest(&office, "p256", Kind::Full).header;
        let ends = header.responders.iter().map(|one| one.not_after);
        assert!(
            header
                .windows
                .iter()
                .all(|window| ends.clone().all(|end| window.next_update <= end))
        );
        let certificates = header.responders.into_iter().map(|one| one.certificate);
        certificates.collect::<Vec<_>>()
    };
    let first = signed_by(begun);
    assert_eq!(keys(), 2);
    // Another process, a day later: the same signers.
    assert_eq!(signed_by(begun + 86_400), first);
    let later = signed_by(begun + 13 * 86_400);
    assert_eq!(later.len(), 2);
    assert!(later.iter().all(|one| !first.contains(one)));
    // Those of before end, and their keys with them.
    let last = signed_by(begun + 15 * 86_400);
    assert_eq!(last, later);
    assert_eq!(keys(), 2);
}

#[test]
fn a_torn_key_beside_the_own_one_keeps_revocations_from_going_out() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut office = issued(here);
    office.settings = beside("\"ed25519\"");
    chain_file(&office, here, "p256");
    let _ = pass(&mut begin(&office), now());
    let before = newest(&office, "p256", Kind::Full).header.responders;
    let issuer = office.issuer("p256").unwrap();
    let signers = || {
        let store = office.registry.store();
        let signers = office
            .registry
            .drive(store.ocsp_signers(issuer.id(), now()));
        signers.unwrap()
    };
    let tear = |certificate: &[u8]| {
        let signers = signers();
        let torn = signers.iter().find(|one| one.certificate == certificate);
        let file = format!("keys/{}.pk8", torn.unwrap().key_file);
        std::fs::write(office.home.signer().join(file), "torn").unwrap();
    };
    tear(&before[1].certificate);
    // One that has not opened it yet, and another after that.
    for _ in 0..2 {
        let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
        let mut shift = begin(&office);
        let _ = pass(&mut shift, now());
        let delta = newest(&office, "p256", Kind::Delta);
        assert_eq!(delta.header.responders[0], before[0]);
        assert_ne!(delta.header.responders[1], before[1]);
        for variant in 0..4 {
            let text = judged(here, &delta, &revoked, variant);
            assert!(text.contains(": revoked"), "{text}");
        }
        let _ = pass(&mut shift, now());
        assert_eq!(signers().len(), 3, "one successor");
    }
    // Without its own an authority answers nobody who asks for nothing.
    tear(&before[0].certificate);
    revoke(&office, "p256", RevocationReason::KeyCompromise);
    let report = begin(&office).pass(&now, &|_| {}).unwrap();
    assert!(!report.faults.is_empty());
    assert!(report.faults.iter().all(|fault| fault.issuer == "p256"));
    assert_eq!(signers().len(), 3);
}
