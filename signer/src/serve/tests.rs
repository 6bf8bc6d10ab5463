//! Passes over a real registry; the responses are put together as the responder does and judged by OpenSSL.

mod algorithms;
mod ended;
mod faults;
mod pieces;
mod rolling;
mod shift;

pub(crate) use shift::begin;

use super::*;
use crate::batch::own;
use crate::ca::tests::{approve, certificates, founded, now, openssl, person};
use crate::ca::{crl, issue};
use crate::registry::By;
use crate::registry::{Revocation, SqliteStore};
use std::path::Path;
use wire::batch::{Header, TRAILER_OCTETS, spool_name};
use wire::batch::{Kind, acknowledgement_name};
use wire::cert_id::cert_id_prefix;
use wire::response::{TbsParts, assemble};
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

fn issued(folder: &Path) -> Office<SqliteStore> {
    let office = founded(folder);
    for alias in ["p256", "sm2"] {
        let rows = [
            person("张三", "E1"),
            person("李四", "E2"),
            person("王五", "E3"),
        ];
        let approved = approve(&office, alias, &rows);
        let report = issue::issue(&office, approved, By::signer(now()), |_| {}).unwrap();
        assert_eq!(report.issued, 3);
    }
    office
}

fn pass(shift: &mut Shift<'_, SqliteStore>, now: u64) -> Vec<(String, Kind, u64)> {
    let report = shift.pass(&|| now, &|_| {}).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    report
        .batches
        .into_iter()
        .map(|w| (w.issuer, w.kind, w.records))
        .collect()
}

/// What the loader leaves in return for a batch.
fn acknowledge(spool: &Path, number: u64, hash: &str) {
    let text = format!("{hash} 1\n");
    std::fs::write(spool.join(acknowledgement_name(number)), text).unwrap();
}

fn trailing_hash(spool: &Path, number: u64) -> String {
    let octets = std::fs::read(spool.join(spool_name(number))).unwrap();
    crate::text::hex(&octets[octets.len() - TRAILER_OCTETS..][..32])
}

/// The newest batch of a kind in the spool.
fn newest(office: &Office<SqliteStore>, alias: &str, kind: Kind) -> Batch {
    let id = office.issuer(alias).unwrap().issuer_id();
    let latest = |shard| {
        let kind = own::batch_kind(kind);
        let store = office.registry.store();
        let latest = office.registry.drive(store.latest_batch(&id, kind, shard));
        latest.unwrap()
    };
    Batch::read(office, alias, latest(0).unwrap().number)
}

fn revoke(office: &Office<SqliteStore>, alias: &str, reason: RevocationReason) -> Serial {
    let row = certificates(office, alias)
        .into_iter()
        .find(|row| row.revoked.is_none())
        .unwrap();
    let revocation = Revocation {
        id: row.id,
        reason,
        ground: "私钥泄露".to_owned(),
        at: now(),
        invalidity_date: Some(row.not_before),
    };
    let by = By::person("officer", now());
    office
        .registry
        .drive(office.registry.store().revoke(&revocation, by))
        .unwrap();
    row.serial
}

/// A batch file, read as the loader reads it.
struct Batch {
    header: Header,
    records: Vec<u8>,
}

impl Batch {
    fn read(office: &Office<SqliteStore>, alias: &str, number: u64) -> Self {
        let id = office.issuer(alias).unwrap().issuer_id();
        let octets = std::fs::read(office.home.batch(&id, number)).unwrap();
        let (header, from) = Header::parse(&octets).unwrap();
        let (body, trailer) = octets.split_at(octets.len() - TRAILER_OCTETS);
        assert_eq!(blake3::hash(body).as_bytes(), &trailer[..32]);
        let width = header.layout().unwrap().record_octets();
        assert_eq!(
            body.len() - from,
            width * usize::try_from(header.record_count).unwrap()
        );
        Self {
            records: body[from..].to_vec(),
            header,
        }
    }

    fn serials(&self) -> Vec<Serial> {
        let layout = self.header.layout().unwrap();
        let records = self.records.chunks(layout.record_octets());
        records
            .map(|r| Serial::from_content(layout.record(r).unwrap().serial_content()).unwrap())
            .collect()
    }

    /// The response to a question about `serial` by the variant of that number.
    fn response(&self, serial: &Serial, variant: usize) -> Vec<u8> {
        let layout = self.header.layout().unwrap();
        let record = self
            .records
            .chunks(layout.record_octets())
            .map(|r| layout.record(r).unwrap());
        let record = record
            .into_iter()
            .find(|r| r.serial_content() == serial.content())
            .unwrap();
        let window = &self.header.windows[usize::from(record.window())];
        let form = &self.header.variants[variant];
        let responder = self.header.responder(window, form).unwrap();
        let prefix = cert_id_prefix(form.form, &form.name_hash, &form.key_hash).unwrap();
        let parts = TbsParts {
            key_hash: &responder.key_hash,
            produced_at: window.produced_at,
            cert_id_prefix: &prefix,
            serial_content: serial.content(),
            status: record.status().unwrap(),
            this_update: window.this_update,
            next_update: window.next_update,
        };
        let certificates = certificates_field(&responder.certificate);
        let mut out = vec![0; 8_192];
        let raw = record.signature(variant).unwrap();
        let used = assemble(&parts, form.algorithm, raw, &certificates, &mut out).unwrap();
        out.truncate(used);
        out
    }
}

/// `[0] EXPLICIT SEQUENCE OF Certificate` with one certificate.
fn certificates_field(certificate: &[u8]) -> Vec<u8> {
    use der::{Encode, Tag, TagNumber, asn1::AnyRef};
    let list = AnyRef::new(Tag::Sequence, certificate)
        .unwrap()
        .to_der()
        .unwrap();
    let tag = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    AnyRef::new(tag, &list).unwrap().to_der().unwrap()
}

fn chain_file(office: &Office<SqliteStore>, here: &Path, alias: &str) {
    let mut all = Vec::new();
    for name in [alias.to_owned(), format!("{alias}-root")] {
        std::fs::write(
            here.join("ca.der"),
            &office.issuer(&name).unwrap().row.certificate,
        )
        .unwrap();
        let pem = openssl(here, &["x509", "-inform", "DER", "-in", "ca.der"]).stdout;
        std::fs::write(here.join(format!("{name}.pem")), &pem).unwrap();
        all.extend(pem);
    }
    std::fs::write(here.join(format!("{alias}-chain.pem")), all).unwrap();
}

#[test]
fn a_signed_response_is_refused_by_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let office = issued(here);
    let mut shift = begin(&office);
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    assert_eq!(
        pass(&mut shift, now()),
        [
            ("p256".to_owned(), Kind::Documents, 0),
            ("sm2".to_owned(), Kind::Documents, 0),
            ("p256".to_owned(), Kind::Full, 4),
            ("sm2".to_owned(), Kind::Full, 4)
        ]
    );
    chain_file(&office, here, "p256");
    let batch = Batch::read(&office, "p256", 2);
    for serial in batch.serials() {
        for (variant, digest) in ["-sha1", "-sha256"].into_iter().enumerate() {
            std::fs::write(here.join("r.der"), batch.response(&serial, variant)).unwrap();
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
                ],
            );
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let verdict = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(verdict.contains("Response verify OK"), "{verdict}");
            if serial == revoked {
                assert!(
                    text.contains(": revoked") && text.contains("keyCompromise"),
                    "{text}"
                );
            } else {
                assert!(text.contains(": good"), "{text}");
            }
        }
    }
}

#[test]
fn an_sm2_response_is_refused_by_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let office = issued(here);
    let _ = pass(&mut begin(&office), now());
    let batch = Batch::read(&office, "sm2", 2);
    assert_eq!(batch.header.variants.len(), 4);
    chain_file(&office, here, "sm2");
    std::fs::write(
        here.join("ocsp.der"),
        &batch.header.responders[0].certificate,
    )
    .unwrap();
    let options = [
        "-vfyopt",
        "distid:1234567812345678",
        "-partial_chain",
        "-CAfile",
        "sm2.pem",
    ];
    let pem = openssl(here, &["x509", "-inform", "DER", "-in", "ocsp.der"]).stdout;
    std::fs::write(here.join("ocsp.pem"), pem).unwrap();
    let out = openssl(
        here,
        &[&["verify"], options.as_slice(), &["ocsp.pem"]].concat(),
    );
    assert!(out.status.success(), "{out:?}");
    openssl(
        here,
        &[
            "x509", "-in", "ocsp.pem", "-pubkey", "-noout", "-out", "pub.pem",
        ],
    );
    for serial in batch.serials() {
        for variant in 0..4 {
            let response = batch.response(&serial, variant);
            let read = wire::response::OcspResponse::parse(&response)
                .unwrap()
                .basic
                .unwrap();
            std::fs::write(here.join("tbs"), read.tbs).unwrap();
            std::fs::write(here.join("sig"), read.signature).unwrap();
            let judge = [
                "dgst",
                "-sm3",
                "-verify",
                "pub.pem",
                "-sigopt",
                "distid:1234567812345678",
            ];
            let out = openssl(
                here,
                &[judge.as_slice(), &["-signature", "sig", "tbs"]].concat(),
            );
            assert!(out.status.success(), "{out:?}");
        }
    }
}

#[test]
fn a_revocation_waits_for_the_next_renewal() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    assert_eq!(
        pass(&mut shift, now()),
        [],
        "nothing changed, nothing is due"
    );
    let revoked = revoke(&office, "sm2", RevocationReason::CessationOfOperation);
    let written = pass(&mut shift, now());
    assert_eq!(
        written,
        [
            ("sm2".to_owned(), Kind::Delta, 1),
            ("sm2".to_owned(), Kind::Documents, 0)
        ]
    );
    let delta = Batch::read(&office, "sm2", 3);
    assert_eq!(delta.serials(), [revoked]);
    let documents = Batch::read(&office, "sm2", 4).header.documents;
    let list = documents.iter().find(|d| d.name == "sm2.crl").unwrap();
    let list = wire::crl::Crl::parse(&list.octets).unwrap();
    let entry = list.entries().next().unwrap().unwrap();
    assert_eq!(
        (entry.serial, entry.reason),
        (revoked, Some(RevocationReason::CessationOfOperation))
    );
    assert!(entry.invalid_since.is_some());
    assert_eq!(pass(&mut shift, now()), []);
}

// RFC 9919 §3.2.2: the certificate of a delegate, which nobody checks, is short-lived and renewed in time.
#[test]
fn a_week_off_leaves_stale_windows_or_dead_signers() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let first = newest(&office, "p256", Kind::Full).header;
    let later = now() + 12 * 86_400;
    let written = pass(&mut shift, later);
    assert_eq!(written.iter().filter(|w| w.1 == Kind::Full).count(), 2);
    let second = newest(&office, "p256", Kind::Full).header;
    let window = second.windows[0];
    assert!(window.next_update > later && window.next_update <= second.responders[0].not_after);
    assert!(window.this_update >= second.responders[0].not_before);
    assert_ne!(
        first.responders, second.responders,
        "twelve of fourteen days old: replaced"
    );
    let list = newest(&office, "p256", Kind::Documents).header.documents;
    let list = list.iter().find(|d| d.name == "p256.crl").unwrap();
    assert!(
        wire::crl::Crl::parse(&list.octets)
            .unwrap()
            .next_update
            .unwrap()
            > later
    );
}

#[test]
fn an_expired_certificate_is_forgotten_too_early_or_never() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    let end = certificates(&office, "p256")[0].not_after;
    let archived = end + office.settings.archive_secs;
    let moments = [
        (end + 1, true),
        (archived - 1, true),
        (archived + 86_400, false),
    ];
    let mut last = None;
    for (now, kept) in moments {
        let _ = pass(&mut shift, now);
        let full = newest(&office, "p256", Kind::Full);
        assert_eq!(full.serials().contains(&revoked), kept, "at {now}");
        last = Some(full).filter(|_| kept).or(last);
    }
    let last = last.unwrap();
    let layout = last.header.layout().unwrap();
    let record = last.records.chunks(layout.record_octets());
    let record = record.map(|r| layout.record(r).unwrap());
    let record = record
        .into_iter()
        .find(|r| r.serial_content() == revoked.content())
        .unwrap();
    assert!(
        matches!(record.status().unwrap(), CertStatus::Revoked { .. }),
        "its last status is kept"
    );
}

#[test]
fn two_processes_write_one_spool() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let first = begin(&office);
    assert!(matches!(Shift::begin(&office), Err(ServeError::Locked(_))));
    drop(first);
    begin(&office);
}

#[test]
fn an_acknowledged_batch_fills_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let spool = office
        .home
        .spool(&office.issuer("p256").unwrap().issuer_id());
    // Of another batch that bore its number: this one is not in.
    acknowledge(&spool, 1, "0000");
    let _ = pass(&mut shift, now());
    assert!(spool.join(spool_name(1)).exists());
    assert!(!spool.join(acknowledgement_name(1)).exists());
    for number in [1, 2] {
        acknowledge(&spool, number, &trailing_hash(&spool, number));
    }
    std::fs::write(spool.join(".00000000000000000003.batch.1.tmp"), "half").unwrap();
    let _ = pass(&mut shift, now());
    // A half-written batch may be a thread's of ours; at the start it is nobody's.
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 1);
    drop(shift);
    let _shift = begin(&office);
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0);
    // Not acknowledged: kept.
    let other = office
        .home
        .spool(&office.issuer("sm2").unwrap().issuer_id());
    assert!(other.join(spool_name(1)).exists());
}

#[test]
fn a_torn_batch_gets_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let key = office.keyring.batch_key().unwrap();
    let issuer = office.issuer("p256").unwrap();
    let subject = own::subject(&issuer, &office.settings.terms("p256")).unwrap();
    let header = Header {
        record_count: 5,
        ..empty_header(&subject)
    };
    let path = folder.path().join(spool_name(9));
    let file = crate::batch::output::BatchFile::create(path.clone(), &header).unwrap();
    assert!(
        file.finish(&header, &*key, &[]).is_err(),
        "five records are missing"
    );
    assert!(!path.exists());
}

fn empty_header(subject: &crate::batch::Subject) -> Header {
    Header {
        kind: Kind::Full,
        issuer_id: subject.issuer_id,
        number: 9,
        revision: 1,
        created_at: 1,
        hash_key: subject.hash_key,
        shards: 1,
        shard: 0,
        source: subject.source,
        serial_octets: 16,
        record_count: 0,
        issuer_certificate: subject.issuer_certificate.clone(),
        variants: vec![wire::batch::Variant {
            form: subject.forms[0],
            algorithm: wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256,
            slot: 0,
            name_hash: vec![0; 20],
            key_hash: vec![0; 20],
        }],
        slots: 1,
        responders: vec![wire::batch::Responder {
            algorithm: wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256,
            key_hash: [0; 20],
            not_before: 0,
            not_after: 1,
            certificate: vec![],
        }],
        windows: vec![wire::batch::Window {
            this_update: 0,
            next_update: 1,
            produced_at: 0,
            group: 0,
        }],
        documents: vec![],
    }
}
