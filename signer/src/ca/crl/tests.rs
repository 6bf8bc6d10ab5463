//! What stands on a list, in which order, under which number; judged by OpenSSL and x509-parser.

use super::policy::ListConfig;
use super::*;
use crate::ca::issue;
use crate::ca::tests::{approve, certificates, founded, now, openssl, person};
use crate::office::Office;
use crate::registry::{Revocation, SqliteStore};
use crate::settings::{Settings, SettingsConfig};
use std::path::Path;
use wire::status::RevocationReason;
use wire::time::UnixSeconds;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

fn revoke(office: &Office<SqliteStore>, count: usize) {
    let live = certificates(office, "p256")
        .into_iter()
        .filter(|row| row.revoked.is_none());
    for row in live.take(count) {
        let revocation = Revocation {
            id: row.id,
            reason: RevocationReason::AffiliationChanged,
            ground: "调动".to_owned(),
            at: now(),
            invalidity_date: None,
        };
        let by = By::person("officer", now());
        office
            .registry
            .drive(office.registry.store().revoke(&revocation, by))
            .unwrap();
    }
}

fn office(folder: &Path) -> Office<SqliteStore> {
    let office = founded(folder);
    let rows: Vec<_> = (0..20).map(|n| person("张三", &format!("E{n}"))).collect();
    let approved = approve(&office, "p256", &rows);
    let _ = issue::issue(&office, approved, By::signer(now()), |_| {}).unwrap();
    office
}

fn list(office: &Office<SqliteStore>, urgency: Urgency, at: UnixSeconds) -> Crl {
    let issuer = office.issuer("p256").unwrap();
    write(office, &[issuer], urgency, By::signer(at))
        .unwrap()
        .remove(0)
}

// RFC 5280 §5.2.3: numbers only rise.
#[test]
fn a_list_is_unsorted_or_its_number_does_not_rise() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path());
    let first = list(&office, Urgency::Due, now());
    revoke(&office, 12);
    let second = list(&office, Urgency::Due, now());
    assert!(second.number > first.number && second.revision > first.revision);
    assert_eq!(list(&office, Urgency::Due, now()).number, second.number);
    assert!(list(&office, Urgency::Now, now()).number > second.number);
    let (rest, read) = CertificateRevocationList::from_der(&second.der).unwrap();
    assert!(rest.is_empty());
    let serials: Vec<_> = read
        .iter_revoked_certificates()
        .map(|r| r.raw_serial().to_vec())
        .collect();
    assert_eq!(serials.len(), 12);
    assert!(serials.is_sorted());
    assert_eq!(
        read.crl_number().unwrap().to_string(),
        second.number.to_string()
    );
}

#[test]
fn a_revoked_certificate_passes_openssls_crl_check() {
    let folder = tempfile::tempdir().unwrap();
    let (office, here) = (office(folder.path()), folder.path());
    revoke(&office, 1);
    let mut bundle = Vec::new();
    for issuer in office
        .issuers()
        .unwrap()
        .iter()
        .filter(|i| i.alias().starts_with("p256"))
    {
        let list = write(
            &office,
            std::slice::from_ref(issuer),
            Urgency::Due,
            By::signer(now()),
        );
        for (kind, octets) in [
            ("x509", &issuer.row.certificate),
            ("crl", &list.unwrap()[0].der),
        ] {
            std::fs::write(here.join("in.der"), octets).unwrap();
            bundle.extend(openssl(here, &[kind, "-inform", "DER", "-in", "in.der"]).stdout);
        }
    }
    std::fs::write(here.join("bundle.pem"), bundle).unwrap();
    for row in certificates(&office, "p256") {
        std::fs::write(here.join("in.der"), row.certificate.unwrap()).unwrap();
        openssl(
            here,
            &[
                "x509", "-inform", "DER", "-in", "in.der", "-out", "leaf.pem",
            ],
        );
        let judge = [
            "verify",
            "-x509_strict",
            "-crl_check_all",
            "-CAfile",
            "bundle.pem",
            "leaf.pem",
        ];
        let out = openssl(here, &judge);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.success(), row.revoked.is_none(), "{text}");
        assert_eq!(
            text.contains("certificate revoked"),
            row.revoked.is_some(),
            "{text}"
        );
    }
}

// RFC 5280 §3.3: an entry stays until it has stood on a list made after its certificate expired.
#[test]
fn a_revoked_certificate_leaves_the_list_before_one_appeared_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path());
    revoke(&office, 1);
    let end = certificates(&office, "p256")
        .iter()
        .map(|row| row.not_after)
        .max()
        .unwrap();
    let count = |at| {
        let list = list(&office, Urgency::Now, at);
        wire::crl::Crl::parse(&list.der).unwrap().entries().count()
    };
    assert_eq!([end - 1, end + 1, end + 2].map(count), [1, 1, 0]);
}

#[test]
fn a_list_is_not_renewed_at_half_of_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path());
    let first = list(&office, Urgency::Due, now());
    let half = (first.next_update - first.this_update) / 2;
    assert_eq!(
        list(&office, Urgency::Due, first.this_update + half - 1).number,
        first.number
    );
    assert!(list(&office, Urgency::Due, first.this_update + half).number > first.number);
}

#[test]
fn a_list_of_a_clock_that_was_ahead_stays_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path());
    let ahead = list(&office, Urgency::Due, now() + 10 * 86_400);
    let mended = list(&office, Urgency::Due, now());
    assert!(mended.number > ahead.number && mended.this_update < ahead.this_update);
}

// CABF BR §4.9.7: a list is made anew within a day of a revocation and ends within ten days.
// CABF BR §4.9.9: answers last from eight hours to ten days, and are signed anew before half of that.
#[test]
fn defaults_break_the_bar_that_public_authorities_are_held_to() {
    const HOUR: u64 = 3_600;
    let settings = Settings::default();
    let terms = settings.terms("p256");
    assert!((8 * HOUR..=240 * HOUR).contains(&terms.validity));
    assert!(terms.refresh <= terms.validity / 2);
    let lists = settings.lists("p256", false);
    assert!(lists.validity_secs <= 240 * HOUR);
}

// RFC 5280 §5.1.2.5: nextUpdate stands in every list, and no list promises an update after its signer's end.
// RFC 5280 §5.2.1: every list has the identifier of its issuer's key.
// RFC 5280 §5.2.6: a full list says where its deltas are, a delta does not.
#[test]
fn a_list_outlives_its_signer_hides_its_key_or_a_delta_says_where_deltas_are() {
    use x509_parser::extensions::ParsedExtension;
    let folder = tempfile::tempdir().unwrap();
    let mut office = founded(folder.path());
    let with_deltas = ListConfig {
        delta: true,
        ..ListConfig::default()
    };
    office.settings = Settings::new(SettingsConfig {
        crl: [("p256".to_owned(), with_deltas)].into(),
        ..SettingsConfig::default()
    })
    .unwrap();
    let issuer = office.issuer("p256").unwrap();
    // In the middle of the authority's life, and a minute before its end.
    for at in [now(), issuer.not_after - 60] {
        let issuers = [office.issuer("p256").unwrap()];
        let lists = write(&office, &issuers, Urgency::Now, By::signer(at)).unwrap();
        assert!(lists.iter().any(|list| list.form.is_delta()));
        for list in &lists {
            let (_, read) = CertificateRevocationList::from_der(&list.der).unwrap();
            let next = read.next_update().expect("a list without nextUpdate");
            let next = u64::try_from(next.timestamp()).unwrap();
            assert!(next > at && next <= issuer.not_after, "{next}");
            let key =
                read.extensions()
                    .iter()
                    .find_map(|extension| match extension.parsed_extension() {
                        ParsedExtension::AuthorityKeyIdentifier(found) => {
                            found.key_identifier.clone()
                        }
                        _ => None,
                    });
            assert_eq!(key.unwrap().0, issuer.key_identifier);
            let freshest = |oid: String| oid == "2.5.29.46";
            let mut extensions = read.extensions().iter();
            let says = extensions.any(|extension| freshest(extension.oid.to_id_string()));
            assert_eq!(says, !list.form.is_delta());
        }
    }
}
