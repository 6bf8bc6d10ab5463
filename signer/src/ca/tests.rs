//! Founding and first lists, judged by OpenSSL.

use super::{CaError, crl, found, issue};
use crate::ca::crl::Urgency;
use crate::office::Office;
use crate::ra::approval::{self, Approved};
use crate::ra::identity::IdentityNumber;
use crate::ra::row::{Device, Identity, Medium, Person, Relation, Row, StaffKind, Unit};
use crate::ra::unit_code::UnitCode;
use crate::registry::{
    Blocking, Business, By, Certificate, CertificateFilter, CertificateKind, NewItem,
    NewSubmission, SqliteStore, Store,
};
use crate::settings::Settings;
use std::path::Path;
use std::process::{Command, Output};

/// 2026-11-22T00:00:00Z would do, but OpenSSL judges by its own clock.
pub(crate) fn now() -> u64 {
    crate::serve::clock()
}

pub(crate) fn office(folder: &Path) -> Office<SqliteStore> {
    let home = crate::home::Home::new(folder);
    std::fs::create_dir_all(home.signer()).unwrap();
    let path = home.signer().join("registry.sqlite");
    let registry = Blocking::open(|| async move { SqliteStore::open(&path).await }).unwrap();
    Office::new(home, registry, Settings::default()).unwrap()
}

pub(crate) fn founded(folder: &Path) -> Office<SqliteStore> {
    let office = office(folder);
    found::found(&office, "http://127.0.0.1:2560", By::person("test", now())).unwrap();
    office
}

pub(crate) fn openssl(folder: &Path, args: &[&str]) -> Output {
    Command::new("openssl")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn pem(folder: &Path, name: &str, label: &str, der: &[u8]) {
    let der_path = folder.join(format!("{name}.der"));
    std::fs::write(&der_path, der).unwrap();
    let kind = if label == "crl" { "crl" } else { "x509" };
    let out = openssl(
        folder,
        &[
            kind,
            "-inform",
            "DER",
            "-in",
            &format!("{name}.der"),
            "-out",
            &format!("{name}.pem"),
        ],
    );
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn founding_makes_chains_that_openssl_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let here = folder.path();
    for issuer in office.issuers().unwrap() {
        pem(here, issuer.alias(), "certificate", &issuer.row.certificate);
    }
    let out = openssl(
        here,
        &[
            "verify",
            "-x509_strict",
            "-CAfile",
            "p256-root.pem",
            "p256.pem",
        ],
    );
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    // The ID reaches only the leaf: each level with -partial_chain.
    let out = openssl(
        here,
        &[
            "verify",
            "-x509_strict",
            "-partial_chain",
            "-vfyopt",
            "distid:1234567812345678",
            "-CAfile",
            "sm2-root.pem",
            "sm2.pem",
        ],
    );
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn a_second_founding_changes_something() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let before: Vec<_> = office
        .issuers()
        .unwrap()
        .into_iter()
        .map(|i| i.row.certificate.clone())
        .collect();
    let again = found::found(&office, "http://elsewhere", By::person("test", now()));
    assert!(matches!(again, Err(CaError::Founded)));
    let after: Vec<_> = office
        .issuers()
        .unwrap()
        .into_iter()
        .map(|i| i.row.certificate.clone())
        .collect();
    assert_eq!(before, after);
}

#[test]
fn the_first_lists_do_not_verify() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let here = folder.path();
    let issuers = office.issuers().unwrap();
    let lists = crl::write(&office, &issuers, Urgency::Due, By::signer(now())).unwrap();
    for (issuer, list) in issuers.iter().zip(&lists) {
        pem(here, issuer.alias(), "certificate", &issuer.row.certificate);
        std::fs::write(here.join(issuer.crl_name()), &list.der).unwrap();
    }
    for alias in ["p256", "p256-root"] {
        let (list, ca) = (format!("{alias}.crl"), format!("{alias}.pem"));
        let out = openssl(
            here,
            &[
                "crl", "-inform", "DER", "-in", &list, "-noout", "-CAfile", &ca,
            ],
        );
        assert!(
            String::from_utf8_lossy(&out.stderr).contains("verify OK"),
            "{out:?}"
        );
    }
    // `openssl crl` cannot set the SM2 identifier: take the list apart and judge the parts.
    for (issuer, list) in issuers
        .iter()
        .zip(&lists)
        .filter(|(i, _)| i.alias().starts_with("sm2"))
    {
        let read = wire::crl::Crl::parse(&list.der).unwrap();
        std::fs::write(here.join("tbs"), read.tbs).unwrap();
        std::fs::write(here.join("sig"), read.signature).unwrap();
        let pem = format!("{}.pem", issuer.alias());
        openssl(
            here,
            &["x509", "-in", &pem, "-pubkey", "-noout", "-out", "pub.pem"],
        );
        let out = openssl(
            here,
            &[
                "dgst",
                "-sm3",
                "-verify",
                "pub.pem",
                "-sigopt",
                "distid:1234567812345678",
                "-signature",
                "sig",
                "tbs",
            ],
        );
        assert!(out.status.success(), "{out:?}");
    }
    let again = crl::write(&office, &issuers, Urgency::Due, By::signer(now())).unwrap();
    assert_eq!(again, lists, "nothing changed, nothing is due");
}

/// Submits one person, one unit and one device, each without a key of its own, and approves them.
pub(crate) fn approve<S: Store>(office: &Office<S>, alias: &str, rows: &[Row]) -> Approved {
    let registry = &office.registry;
    let kind = rows[0].kind();
    let items = (2..).zip(rows).map(|(line, row)| NewItem {
        line,
        subject_key: format!("{alias}:{}", row.subject_key()),
        name: row.name().to_owned(),
        number: row.number().to_owned(),
        fields: serde_json::to_string(row).unwrap(),
        spki: None,
    });
    let submission = NewSubmission {
        file_blake3: *blake3::hash(format!("{alias}{rows:?}").as_bytes()).as_bytes(),
        application_blake3: [0; 32],
        kind,
        business: Business::Issue,
        alias: alias.to_owned(),
        unit_name: "青岛市测试局".to_owned(),
        unit_code: "91350100M000100Y43".to_owned(),
        application: "{}".to_owned(),
        additional: false,
        items: items.collect(),
        refused: Vec::new(),
    };
    let done = registry.drive(
        registry
            .store()
            .submit(&submission, By::person("clerk", now())),
    );
    let by = By::person("officer", now());
    registry
        .drive(approval::approve(
            registry.store(),
            done.unwrap().number,
            by,
        ))
        .unwrap()
}

pub(crate) fn person(name: &str, number: &str) -> Row {
    Row::Person(Person {
        name: name.to_owned(),
        identity: Identity::Passport(number.to_owned()),
        department: "信息中心".to_owned(),
        title: None,
        mobile: "13800000000".to_owned(),
        email: Some("zhang@example.cn".to_owned()),
        staff_kind: StaffKind::Regular,
        applications: None,
        medium: Medium::UsbKey,
        medium_no: None,
        remarks: None,
    })
}

fn unit() -> Row {
    Row::Unit(Unit {
        name: "青岛测试有限公司".to_owned(),
        code: UnitCode::parse("91350100M000100Y43").unwrap(),
        relation: Relation::Own,
        address: None,
        custodian: "李四".to_owned(),
        custodian_id: IdentityNumber::try_from("11010519491231002X".to_owned()).unwrap(),
        phone: "0532".to_owned(),
        medium: Medium::UsbKey,
        remarks: None,
    })
}

fn device() -> Row {
    Row::Device(Device {
        name: "verify-01".to_owned(),
        device_kind: "签名验签服务器".to_owned(),
        dns_name: Some("verify.example.cn".to_owned()),
        ip: Some("192.0.2.7".parse().unwrap()),
        owner: "青岛市测试局".to_owned(),
        owner_code: UnitCode::parse("D2143569X").unwrap(),
        responsible: "王五".to_owned(),
        phone: "0532".to_owned(),
        remarks: None,
    })
}

pub(crate) fn certificates<S: Store>(office: &Office<S>, alias: &str) -> Vec<Certificate> {
    let filter = CertificateFilter {
        alias: Some(alias.to_owned()),
        kind: Some(CertificateKind::Subject),
        ..CertificateFilter::default()
    };
    office
        .registry
        .wait(|store| store.certificates(&filter))
        .unwrap()
}

#[test]
fn an_issued_certificate_does_not_verify_or_lacks_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let here = folder.path();
    for alias in ["p256", "sm2"] {
        for row in [person("张三", "E12345678"), unit(), device()] {
            let approved = approve(&office, alias, &[row]);
            let report = issue::issue(&office, approved, By::signer(now()), |_| {}).unwrap();
            assert_eq!(
                (report.issued, report.refused.len()),
                (1, 0),
                "{:?}",
                report.refused
            );
        }
        let ca = office.issuer(alias).unwrap();
        pem(here, alias, "certificate", &ca.row.certificate);
        let mut texts = String::new();
        for row in certificates(&office, alias) {
            pem(
                here,
                "leaf",
                "certificate",
                row.certificate.as_deref().unwrap(),
            );
            let ca = format!("{alias}.pem");
            let out = openssl(
                here,
                &[
                    "verify",
                    "-x509_strict",
                    "-partial_chain",
                    "-vfyopt",
                    "distid:1234567812345678",
                    "-CAfile",
                    &ca,
                    "leaf.pem",
                ],
            );
            // The option is an error for P-256 keys.
            let out = if alias == "sm2" {
                out
            } else {
                openssl(
                    here,
                    &[
                        "verify",
                        "-x509_strict",
                        "-partial_chain",
                        "-CAfile",
                        &ca,
                        "leaf.pem",
                    ],
                )
            };
            assert!(
                out.status.success(),
                "{}",
                String::from_utf8_lossy(&out.stderr)
            );
            let text = openssl(
                here,
                &[
                    "x509", "-in", "leaf.pem", "-noout", "-text", "-nameopt", "utf8",
                ],
            );
            texts += &String::from_utf8_lossy(&text.stdout);
        }
        for expected in [
            "CN=张三",
            "1.2.156.10260.4.1.1",
            "1.2.156.10260.4.1.4",
            "1.2.156.10260.4.1.5",
            "DNS:verify.example.cn",
            "IP Address:192.0.2.7",
            "email:zhang@example.cn",
            "OCSP - URI:http://127.0.0.1:2560/",
            "URI:http://127.0.0.1:2560/crl/",
            "1.3.6.1.4.1.32473.1.1",
            "Digital Signature, Non Repudiation",
        ] {
            assert!(texts.contains(expected), "{expected} in {texts}");
        }
    }
}

#[test]
fn a_delivered_pkcs12_does_not_open_or_holds_another_key() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    for alias in ["p256", "sm2"] {
        let approved = approve(&office, alias, &[person("张三", "E12345678")]);
        let _ = issue::issue(&office, approved, By::signer(now()), |_| {}).unwrap();
        let row = &certificates(&office, alias)[0];
        let out = office.home.deliveries();
        let password =
            std::fs::read_to_string(out.join(format!("{}.password", row.serial))).unwrap();
        let p12 = format!("{}.p12", row.serial);
        let pass = format!("pass:{password}");
        let read = openssl(
            &out,
            &[
                "pkcs12", "-in", &p12, "-passin", &pass, "-nodes", "-out", "all.pem",
            ],
        );
        assert!(
            read.status.success(),
            "{}",
            String::from_utf8_lossy(&read.stderr)
        );
        let key = openssl(&out, &["pkey", "-in", "all.pem", "-pubout"]);
        pem(
            &out,
            "leaf",
            "certificate",
            row.certificate.as_deref().unwrap(),
        );
        let certified = openssl(&out, &["x509", "-in", "leaf.pem", "-noout", "-pubkey"]);
        assert_eq!(key.stdout, certified.stdout);
        assert!(!key.stdout.is_empty());
        let left = std::fs::read_dir(office.home.signer().join("keys")).unwrap();
        let left = left.filter(|f| {
            f.as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("item-")
        });
        assert_eq!(left.count(), 0, "the holder's key stays behind");
    }
}

#[test]
fn a_crash_after_reserving_leaves_a_certificate_nobody_finishes() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let approved = approve(
        &office,
        "p256",
        &[person("张三", "E1"), person("李四", "E2")],
    );
    let number = approved.submission().number;
    issue::reserve_only(&office, &issuer, &approved.into_items(), By::signer(now()));
    // A new process: reserved items are no longer open, and are finished first.
    let again = office
        .registry
        .drive(approval::approved(office.registry.store(), number))
        .unwrap();
    assert_eq!(again.items().len(), 0);
    let report = issue::issue(&office, again, By::signer(now()), |_| {}).unwrap();
    assert_eq!(report.issued, 2);
    assert_eq!(
        std::fs::read_dir(office.home.deliveries()).unwrap().count(),
        4
    );
}
