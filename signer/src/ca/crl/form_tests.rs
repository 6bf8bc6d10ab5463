//! Deltas and partitions: what they say together, who reads them, and what certificates say of them. The lists are put
//! together again by another reader (x509-parser), and OpenSSL judges certificates by them.

mod turned_off;

use super::policy::ListConfig;
use super::*;
use crate::ca::issue;
use crate::ca::profile::{FreshestCrl, ProfileConfig};
use crate::ca::tests::{approve, certificates, founded, now, openssl, person};
use crate::registry::{Certificate, Revocation, SqliteStore};
use crate::settings::{Settings, SettingsConfig};
use std::path::Path;
use wire::status::RevocationReason;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

type Entries = BTreeMap<Vec<u8>, (i64, Option<u8>)>;

fn settings(lists: &ListConfig) -> Settings {
    let person = ProfileConfig {
        freshest_crl: FreshestCrl::Included,
        ..ProfileConfig::default()
    };
    Settings::new(SettingsConfig {
        crl: ["p256", "sm2"]
            .map(|alias| (alias.to_owned(), lists.clone()))
            .into(),
        person,
        ..SettingsConfig::default()
    })
    .unwrap()
}

fn office(folder: &Path, lists: &ListConfig, count: usize) -> Office<SqliteStore> {
    let mut office = founded(folder);
    office.settings = settings(lists);
    add(&office, "p256", count);
    office
}

fn add(office: &Office<SqliteStore>, alias: &str, count: usize) {
    let taken = certificates(office, alias).len();
    let rows: Vec<_> = (0..count)
        .map(|n| person("张三", &format!("{alias}{}", taken + n)))
        .collect();
    let approved = approve(office, alias, &rows);
    let report = issue::issue(office, approved, By::signer(now()), |_| {}).unwrap();
    assert_eq!(report.issued, count as u64, "{:?}", report.refused);
}

fn revoke(office: &Office<SqliteStore>, row: &Certificate, reason: RevocationReason) {
    let revocation = Revocation {
        id: row.id,
        reason,
        ground: "调动".to_owned(),
        at: now(),
        invalidity_date: None,
    };
    let by = By::person("officer", now());
    office
        .registry
        .wait(|store| store.revoke(&revocation, by))
        .unwrap();
}

fn release(office: &Office<SqliteStore>, row: &Certificate) {
    let by = By::person("officer", now());
    office
        .registry
        .wait(|store| store.release(row.id, by))
        .unwrap();
}

fn lists(office: &Office<SqliteStore>, urgency: Urgency, at: u64) -> Vec<Crl> {
    let issuer = office.issuer("p256").unwrap();
    write(office, &[issuer], urgency, By::signer(at)).unwrap()
}

fn of(lists: &[Crl], scope: ListScope, delta: bool) -> &Crl {
    lists
        .iter()
        .find(|list| list.scope == scope && list.form.is_delta() == delta)
        .unwrap()
}

fn entries(list: &Crl) -> Entries {
    let (rest, read) = CertificateRevocationList::from_der(&list.der).unwrap();
    assert!(rest.is_empty());
    read.iter_revoked_certificates()
        .map(|entry| {
            let reason = entry.reason_code().map(|(_, code)| code.0);
            let said = (entry.revocation_date.timestamp(), reason);
            (entry.raw_serial().to_vec(), said)
        })
        .collect()
}

/// RFC 5280 §5.2.4, as a client does it.
fn applied(base: &Crl, delta: &Crl) -> Entries {
    let ListForm::Delta { base: number } = delta.form else {
        panic!("not a delta")
    };
    assert!(base.number >= number && base.number <= delta.number);
    let mut together = entries(base);
    for (serial, said) in entries(delta) {
        if said.1 == Some(8) {
            together.remove(&serial);
        } else {
            together.insert(serial, said);
        }
    }
    together
}

fn with_deltas() -> ListConfig {
    ListConfig {
        delta: true,
        ..ListConfig::default()
    }
}

// RFC 5280 §5.2.4: the delta and any full list it can change say together what is revoked.
#[test]
fn a_delta_does_not_turn_each_list_a_client_may_hold_into_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path(), &with_deltas(), 8);
    let rows = certificates(&office, "p256");
    revoke(&office, &rows[0], RevocationReason::KeyCompromise);
    revoke(&office, &rows[1], RevocationReason::CertificateHold);
    let start = now();
    let first = lists(&office, Urgency::Due, start);
    let base = of(&first, ListScope::Whole, false).clone();
    assert_eq!(of(&first, ListScope::Whole, true).number, base.number);
    assert_eq!(entries(of(&first, ListScope::Whole, true)).len(), 0);
    // A hold that ends, one that ends in a revocation, one that comes and goes, one that is new.
    release(&office, &rows[1]);
    revoke(&office, &rows[2], RevocationReason::CertificateHold);
    let between = lists(&office, Urgency::Due, start + 10);
    assert_eq!(of(&between, ListScope::Whole, false).number, base.number);
    assert!(of(&between, ListScope::Whole, true).number > base.number);
    release(&office, &rows[2]);
    revoke(&office, &rows[3], RevocationReason::CertificateHold);
    revoke(&office, &rows[3], RevocationReason::Superseded);
    revoke(&office, &rows[4], RevocationReason::Unspecified);
    let last = lists(&office, Urgency::Now, start + 20);
    let (full, delta) = (
        of(&last, ListScope::Whole, false),
        of(&last, ListScope::Whole, true),
    );
    assert_eq!(full.number, delta.number, "RFC 5280 §5.2.3");
    assert_eq!(full.revision, delta.revision);
    assert_eq!(delta.form, ListForm::Delta { base: base.number });
    assert_eq!(applied(&base, delta), entries(full));
    let said = entries(full);
    assert_eq!(said.len(), 3);
    assert!(
        said.values().any(|(_, reason)| reason.is_none()),
        "reason 0 is not written"
    );
    let removed = entries(delta)
        .into_values()
        .filter(|(_, reason)| *reason == Some(8));
    assert_eq!(
        removed.count(),
        2,
        "both released holds, also the one no full list had"
    );
}

// RFC 5280 §3.3: an entry is not removed before it stood on a list made after the certificate's end.
// RFC 5280 §5.2.4: a revocation that only deltas have said stays until a full list has said it.
// CABF BR §4.10.1: an entry is not removed before its certificate has expired.
#[test]
fn what_expired_leaves_the_full_list_and_stays_in_base_and_delta() {
    let folder = tempfile::tempdir().unwrap();
    let mut lists_config = with_deltas();
    // Each list outlives the next ones: clients may hold the first all along.
    lists_config.validity_secs = Some(20 * 86_400);
    let office = office(folder.path(), &lists_config, 3);
    let rows = certificates(&office, "p256");
    let end = rows.iter().map(|row| row.not_after).max().unwrap();
    revoke(&office, &rows[0], RevocationReason::KeyCompromise);
    let base = of(
        &lists(&office, Urgency::Now, end - 10),
        ListScope::Whole,
        false,
    )
    .clone();
    // Only a delta says this one before its certificate ends.
    revoke(&office, &rows[1], RevocationReason::Superseded);
    let delta = lists(&office, Urgency::Due, end - 5);
    assert_eq!(entries(of(&delta, ListScope::Whole, true)).len(), 1);
    let mut counts = Vec::new();
    for at in [end + 1, end + 2, end + 3] {
        let now = lists(&office, Urgency::Now, at);
        let (full, delta) = (
            of(&now, ListScope::Whole, false),
            of(&now, ListScope::Whole, true),
        );
        assert_eq!(delta.form, ListForm::Delta { base: base.number });
        assert_eq!(applied(&base, delta), entries(full), "at {at}");
        counts.push((entries(full).len(), full.expired.len()));
    }
    assert_eq!(counts, [(2, 0), (0, 2), (0, 2)]);
    // Revoked after its end, it still appears once.
    revoke(&office, &rows[2], RevocationReason::KeyCompromise);
    let late = lists(&office, Urgency::Now, end + 4);
    assert_eq!(entries(of(&late, ListScope::Whole, false)).len(), 1);
    assert_eq!(
        entries(of(
            &lists(&office, Urgency::Now, end + 5),
            ListScope::Whole,
            false
        ))
        .len(),
        0
    );
}

fn partitioned(whole: bool) -> ListConfig {
    ListConfig {
        partitions: 3,
        delta: true,
        whole,
        ..ListConfig::default()
    }
}

fn distribution_points(der: &[u8]) -> (String, Option<String>) {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).unwrap();
    let uri = |points: &[x509_parser::extensions::CRLDistributionPoint<'_>]| {
        use x509_parser::extensions::{DistributionPointName::FullName, GeneralName::URI};
        match &points[0].distribution_point {
            Some(FullName(names)) => match names[0] {
                URI(uri) => uri.to_owned(),
                _ => panic!("not a URI"),
            },
            _ => panic!("not a full name"),
        }
    };
    let mut found = (String::new(), None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::CRLDistributionPoints(points) => {
                found.0 = uri(&points.points);
            }
            _ if extension.oid.to_id_string() == "2.5.29.46" => {
                assert!(!extension.critical, "RFC 5280 §4.2.1.15");
                found.1 = Some(String::from_utf8_lossy(extension.value).into_owned());
            }
            _ => {}
        }
    }
    found
}

// RFC 5280 §5.2.5: the distribution point of a partition's list is that of its certificates.
// RFC 5280 §4.2.1.15: a certificate may say where the deltas of its list are.
#[test]
fn a_certificate_stands_on_another_partition_than_the_one_it_names() {
    let folder = tempfile::tempdir().unwrap();
    // Older certificates keep the list they name.
    let mut office = office(folder.path(), &ListConfig::default(), 4);
    office.settings = settings(&partitioned(true));
    add(&office, "p256", 20);
    let rows = certificates(&office, "p256");
    for row in &rows {
        revoke(&office, row, RevocationReason::Superseded);
    }
    let lists = lists(&office, Urgency::Due, now());
    assert_eq!(lists.len(), 2 * 4);
    let issuer = office.issuer("p256").unwrap();
    let mut together = Entries::new();
    for number in 1..=3 {
        let list = of(&lists, ListScope::Partition(number), false);
        let uri = issuer.list_uri(ListScope::Partition(number));
        for (serial, said) in entries(list) {
            let row = rows
                .iter()
                .find(|row| row.serial.content() == serial)
                .unwrap();
            let (named, freshest) = distribution_points(row.certificate.as_deref().unwrap());
            assert_eq!(named, uri);
            let delta = issuer.delta_uri(ListScope::Partition(number));
            assert!(freshest.unwrap().ends_with(&delta));
            assert!(together.insert(serial, said).is_none(), "two partitions");
        }
        assert!(
            list.der
                .windows(uri.len())
                .any(|octets| octets == uri.as_bytes())
        );
    }
    assert_eq!(together.len(), 20);
    let whole = entries(of(&lists, ListScope::Whole, false));
    assert_eq!(whole.len(), 24);
    assert!(together.iter().all(|(serial, said)| whole[serial] == *said));
}

#[test]
fn a_list_that_a_living_certificate_names_is_written_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = office(folder.path(), &partitioned(false), 12);
    let scopes = |office: &Office<SqliteStore>| {
        let lists = lists(office, Urgency::Due, now());
        lists.iter().map(|list| list.scope).collect::<BTreeSet<_>>()
    };
    let all: BTreeSet<_> = (1..=3).map(ListScope::Partition).collect();
    assert_eq!(scopes(&office), all, "no list of all: nobody names it");
    // Partitions are given up; certificates out there go on naming theirs.
    office.settings = settings(&ListConfig::default());
    add(&office, "p256", 1);
    let named: BTreeSet<_> = certificates(&office, "p256")
        .iter()
        .map(|row| distribution_points(row.certificate.as_deref().unwrap()).0)
        .collect();
    let issuer = office.issuer("p256").unwrap();
    let written = scopes(&office);
    assert!(written.contains(&ListScope::Whole));
    assert!(
        named
            .iter()
            .all(|uri| written.iter().any(|scope| issuer.list_uri(*scope) == *uri))
    );
}

// RFC 5280 §5.2.3: numbers only rise.
// RFC 5280 §5.2.5: the distribution point of a partition is the one its certificates name.
// CABF BR §7.2: lists are not indirect.
#[test]
fn a_fault_of_the_writer_gets_past_the_linter() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path(), &partitioned(true), 3);
    for row in certificates(&office, "p256") {
        revoke(&office, &row, RevocationReason::Superseded);
    }
    let lists = lists(&office, Urgency::Due, now());
    let issuer = office.issuer("p256").unwrap();
    let scope = ListScope::Partition(1);
    let list = of(&lists, scope, false);
    let query = ListQuery {
        authority: issuer.id(),
        scope,
        cut: None,
        archived_since: 0,
        full: Part::Wanted,
        delta: None,
    };
    let mut listing = office.registry.wait(|store| store.listing(&query)).unwrap();
    listing.full.sort_unstable_by_key(|entry| entry.serial);
    let (point, freshest) = (issuer.list_uri(scope), issuer.delta_uri(scope));
    let name = IssuingDistributionPoint::name_of_uri(&point);
    let case = |number, point| Case {
        issuer: &issuer,
        header: CrlHeader {
            algorithm: issuer.algorithm,
            issuer: &issuer.name_der,
            this_update: list.this_update,
            next_update: list.next_update,
            number,
            key_identifier: &issuer.key_identifier,
            base_number: None,
            distribution_point: Some(IssuingDistributionPoint {
                name: Some(&name),
                ..IssuingDistributionPoint::default()
            }),
            freshest_uri: Some(&freshest),
        },
        point: Some(point),
        last_number: list.number - 1,
        listed: &listing.full,
        prepared: None,
    };
    let rule = |list: Crl, case: &Case<'_>| lint::lint(list, case).unwrap_err().rule;
    lint::lint(list.clone(), &case(list.number, &point)).unwrap();
    let other = rule(list.clone(), &case(list.number + 1, &point));
    assert!(other.starts_with("the number of a list"));
    let mut used = case(list.number, &point);
    used.last_number = list.number;
    assert!(rule(list.clone(), &used).starts_with("the number of a list"));
    let elsewhere = rule(list.clone(), &case(list.number, "http://elsewhere/"));
    assert!(elsewhere.starts_with("a partition's list says which"));
    let mut missing = case(list.number, &point);
    missing.listed = &[];
    let delta = of(&lists, scope, true).clone();
    let mut full = case(list.number, &point);
    full.header.next_update = delta.next_update;
    assert!(rule(delta, &full).starts_with("a delta names"));
    if !listing.full.is_empty() {
        assert!(rule(list.clone(), &missing).starts_with("no entry too many"));
    }
    let mut torn = list.clone();
    let last = torn.der.len() - 1;
    torn.der[last] ^= 1;
    let said = rule(torn, &case(list.number, &point));
    assert!(said == "the signature verifies" || said == "the list must be readable");
}

/// What OpenSSL says of a certificate by these lists.
fn judged(here: &Path, lists: &[&Crl], chain: &[&[u8]], leaf: &[u8]) -> String {
    let mut bundle = Vec::new();
    let kinds = lists.iter().map(|list| ("crl", list.der.as_slice()));
    let chain = chain.iter().map(|certificate| ("x509", *certificate));
    for (kind, octets) in kinds.chain(chain) {
        std::fs::write(here.join("in.der"), octets).unwrap();
        bundle.extend(openssl(here, &[kind, "-inform", "DER", "-in", "in.der"]).stdout);
    }
    std::fs::write(here.join("bundle.pem"), bundle).unwrap();
    std::fs::write(here.join("in.der"), leaf).unwrap();
    openssl(
        here,
        &[
            "x509", "-inform", "DER", "-in", "in.der", "-out", "leaf.pem",
        ],
    );
    let judge = [
        "verify",
        "-crl_check",
        "-use_deltas",
        "-extended_crl",
        "-partial_chain",
        "-CAfile",
        "bundle.pem",
        "leaf.pem",
    ];
    let out = openssl(here, &judge);
    let text = [out.stdout, out.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn openssl_does_not_find_what_only_a_partitions_delta_says() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let office = office(here, &partitioned(true), 9);
    let issuer = office.issuer("p256").unwrap();
    let start = now() - 100;
    let before = lists(&office, Urgency::Due, start);
    let rows = certificates(&office, "p256");
    for row in rows.iter().take(4) {
        revoke(&office, row, RevocationReason::KeyCompromise);
    }
    let after = lists(&office, Urgency::Due, start + 10);
    for (place, row) in rows.iter().enumerate() {
        let leaf = row.certificate.as_deref().unwrap();
        let named = distribution_points(leaf).0;
        let scope = (1..=3)
            .map(ListScope::Partition)
            .find(|scope| issuer.list_uri(*scope) == named)
            .unwrap();
        let base = of(&before, scope, false);
        let chain = [issuer.row.certificate.as_slice()];
        let together = judged(here, &[base, of(&after, scope, true)], &chain, leaf);
        assert_eq!(
            together.contains("certificate revoked"),
            place < 4,
            "{together}"
        );
        assert_eq!(together.contains("leaf.pem: OK"), place >= 4, "{together}");
        // Another partition's list decides nothing.
        let other = (1..=3)
            .map(ListScope::Partition)
            .find(|other| *other != scope);
        let other = of(&after, other.unwrap(), false);
        let said = judged(here, &[other], &chain, leaf);
        assert!(!said.contains("leaf.pem: OK"), "{said}");
    }
}
