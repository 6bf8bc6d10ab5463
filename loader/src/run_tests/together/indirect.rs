//! Indirect lists: signed by another than the CA, with entries about certificates of several issuers.

use rcgen::{IsCa, KeyUsagePurpose};

use super::*;

/// Serial, date, reason, and whose certificate it is, where the entry says so.
type Of<'a> = (Option<&'a Authority>, Entry);

/// Somebody who is no CA and may sign lists.
pub(super) fn list_signer() -> Authority {
    Authority::with("Signer of lists", |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
    })
}

pub(super) fn octets(signer: &Authority, list: &List, entries: &[Of<'_>]) -> Vec<u8> {
    let name = list.point.map(IssuingDistributionPoint::name_of_uri);
    let point = IssuingDistributionPoint {
        name: name.as_deref(),
        is_indirect: true,
        ..IssuingDistributionPoint::default()
    };
    signed(signer, list, entries, Some(point))
}

fn signed(
    signer: &Authority,
    list: &List,
    entries: &[Of<'_>],
    point: Option<IssuingDistributionPoint<'_>>,
) -> Vec<u8> {
    let mut writer = CrlWriter::new();
    for (whose, (serial, at, reason)) in entries {
        match whose {
            None => writer.push(serial.content(), *at, *reason, None),
            Some(ca) => {
                writer.push_of(&ca.certificate.subject, serial.content(), *at, *reason);
            }
        }
    }
    let tbs = writer.finish(&CrlHeader {
        algorithm: wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256,
        issuer: &signer.certificate.subject,
        this_update: list.this_update,
        next_update: list.next_update,
        number: list.number,
        key_identifier: &signer.certificate.key_sha1,
        base_number: list.base,
        distribution_point: point,
        freshest_uri: None,
    });
    signer.sign_crl(&tbs)
}

/// Imports these; `crl_issuer` is named as who signed them.
pub(super) fn come(
    place: &Place,
    crl_issuer: Option<&Authority>,
    lists: &[Vec<u8>],
    how: How,
) -> Result<Report, String> {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, octets: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    };
    let issuer = put("ca.der", &place.authority.certificate.der);
    let crl_issuer = crl_issuer.map(|it| put("crl-issuer.der", &it.certificate.der));
    let lists: Vec<_> = lists
        .iter()
        .enumerate()
        .map(|(number, list)| put(&format!("{number}.crl"), list))
        .collect();
    import_crl(&CrlImport {
        crl: &lists[0],
        issuer: &issuer,
        crl_issuer: crl_issuer.as_deref(),
        data: place.data.path(),
        judging: Judging {
            now: NOW,
            as_of: None,
            weak: WeakPolicy::Refuse,
        },
        company: Company {
            others: &lists[1..],
            keeping: how.keeping,
            complete: how.complete,
            retired: how.retired,
        },
    })
    .map_err(|error| error.to_string())
}

/// A batch that repeats what is staged, with the certificate of who signed the lists, as the signer writes it.
fn repeated(place: &Place, number: u64, rows: &[Row], crl_issuer: &Authority) {
    repeat_with(
        place,
        number,
        rows,
        &[Document {
            kind: DocumentKind::OtherCertificate,
            name: "crl-issuer.cer".to_owned(),
            octets: crl_issuer.certificate.der.clone(),
            list: None,
        }],
    );
}

// RFC 5280 §5.3.3: until an entry names an issuer, the list's own is meant.
// RFC 5280 §5.3.3: an entry that names no issuer is about the same one's certificates as the entry before it.
#[test]
fn an_entry_is_taken_for_another_issuers_or_another_issuers_for_ours() {
    let (place, signer) = (Place::new(), list_signer());
    let other = Authority::found("Other CA");
    let ours = Some(&place.authority);
    let entries = [
        // The list's own.
        (None, key(1)),
        (ours, key(2)),
        (None, key(3)),
        (Some(&other), key(2)),
        (None, key(4)),
        (Some(&signer), key(5)),
        (ours, (serial(6), NOW - 900, Some(CertificateHold))),
        (None, (serial(6), NOW - 500, Some(RemoveFromCrl))),
        (None, key(7)),
        (Some(&other), (serial(7), NOW - 400, Some(Superseded))),
    ];
    let list = octets(&signer, &full(5, NOW - 300, &[]), &entries);
    let report = come(&place, Some(&signer), &[list], ALONE).unwrap();
    assert_eq!(
        (report.entries, report.others, report.revoked),
        (10, 5, 3),
        "{report:?}"
    );
    assert!(report.odd.iter().any(|odd| odd.contains("indirect list")));
    assert!(
        report
            .odd
            .iter()
            .any(|odd| odd.contains("because it was named"))
    );
    assert_eq!(report.crl_issuer.as_deref(), Some("CN=Signer of lists"));
    repeated(&place, 1, &[row(2), row(3), row(7)], &signer);
    let taken = place.pass(NOW);
    assert_eq!(taken.taken.len(), 1, "{taken:?}");
    let revoked = [1, 2, 3, 4, 5, 6, 7].map(|number| place.status(number).is_some());
    assert_eq!(revoked, [false, true, true, false, false, false, true]);
    let proof = verify(place.data.path(), NOW).unwrap();
    assert!(proof.holds(), "{proof:?}");
    assert_eq!((proof.issuers[0].listed, proof.issuers[0].revoked), (3, 3));
    // What is published proves itself without what was staged.
    std::fs::remove_dir_all(place.data.path().join("staged")).unwrap();
    let proof = verify(place.data.path(), NOW).unwrap();
    assert!(proof.holds() && proof.issuers[0].listed == 3, "{proof:?}");

    // A batch that takes others' entries for ours, or leaves one of ours out.
    let wrong = |rows: &[Row]| {
        let place_of = |place: &Place| {
            let entries = [(Some(&other), key(1)), (Some(&place.authority), key(2))];
            let list = octets(&signer, &full(5, NOW - 300, &[]), &entries);
            come(place, Some(&signer), &[list], ALONE).unwrap();
        };
        let place = Place::new();
        place_of(&place);
        repeated(&place, 1, rows, &signer);
        place.refused(NOW)
    };
    assert!(wrong(&[row(1), row(2)]).contains("not revoked by the staged list"));
    assert!(wrong(&[]).contains("missing from the batch"));
}

// RFC 5280 §6.3.3: (b)(1), a list of another issuer than the certificate's counts if it is indirect.
// RFC 5280 §6.3.3: (f), it need not be a CA; who is none must have been given the right by name.
#[test]
fn somebody_signs_lists_for_a_ca_that_was_not_named_or_may_not() {
    let (place, signer) = (Place::new(), list_signer());
    let ours = Some(&place.authority);
    let list = full(5, NOW - 300, &[]);
    let indirect = |signer: &Authority| octets(signer, &list, &[(ours, key(1))]);
    let refused = |named: Option<&Authority>, octets: Vec<u8>| {
        come(&place, named, &[octets], ALONE).unwrap_err()
    };
    let nobody = refused(None, indirect(&signer));
    assert!(nobody.contains("--crl-issuer"), "{nobody}");
    // Another key under the same name.
    let forged = refused(Some(&signer), indirect(&list_signer()));
    assert!(forged.contains("signature"), "{forged}");
    let direct = signed(&signer, &list, &[(None, key(1))], None);
    let direct = refused(Some(&signer), direct);
    assert!(direct.contains("is no indirect list"), "{direct}");
    let rights: [fn(&mut rcgen::CertificateParams); 3] = [
        |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
        |params| params.key_usages.clear(),
        |params| {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages.clear();
        },
    ];
    for (number, change) in rights.into_iter().enumerate() {
        let somebody = Authority::with("Somebody", change);
        let outcome = come(&place, Some(&somebody), &[indirect(&somebody)], ALONE);
        // A CA without keyUsage may do anything (RFC 5280 §4.2.1.3).
        match number {
            1 => assert_eq!(outcome.unwrap().revoked, 1),
            _ => assert!(outcome.unwrap_err().contains("cRLSign"), "{number}"),
        }
    }
}

// RFC 5280 §5.3.3: a directory name is always there. Without one nobody knows whose certificate is revoked.
#[test]
fn an_entry_names_an_issuer_where_none_may_be_named_or_no_name_at_all() {
    let place = Place::new();
    let list = full(5, NOW - 300, &[]);
    let entries = [(None, key(1)), (Some(&place.authority), key(2))];
    // The CA's own list, in which all entries are the CA's, says whose certificates they are.
    let direct = signed(&place.authority, &list, &entries, None);
    let why = come(&place, None, &[direct], ALONE).unwrap_err();
    assert!(
        why.contains("entry 2") && why.contains("not indirect"),
        "{why}"
    );
    // Its own indirect list may.
    let own = octets(&place.authority, &list, &entries);
    let report = come(&place, None, std::slice::from_ref(&own), ALONE).unwrap();
    assert_eq!((report.revoked, report.others), (2, 0));
    // [4], a directory name, becomes [6], an address.
    let tbs = Crl::parse(&own).unwrap().tbs.to_vec();
    let names = [
        &[0xa4, place.authority.certificate.subject.len() as u8][..],
        &place.authority.certificate.subject,
    ]
    .concat();
    let at = tbs.windows(names.len()).position(|part| part == names);
    let mut nameless = tbs;
    nameless[at.unwrap()] = 0x86;
    let nameless = place.authority.sign_crl(&nameless);
    let why = come(&place, None, &[nameless], ALONE).unwrap_err();
    assert!(why.contains("does not say whose"), "{why}");
}

// RFC 5280 §5.2.4: the complete list and its delta together say what is revoked.
#[test]
fn a_delta_or_a_partition_beside_an_indirect_list_is_read_under_another_issuer() {
    let (place, signer) = (Place::new(), list_signer());
    let other = Authority::found("Other CA");
    let ours = Some(&place.authority);
    let whole = octets(
        &signer,
        &full(5, NOW - 300, &[]),
        &[(ours, key(1)), (None, key(2)), (Some(&other), key(3))],
    );
    let change = octets(
        &signer,
        &delta(5, 6, NOW - 100, &[]),
        &[
            // Of another CA: nothing of ours is taken off.
            (Some(&other), (serial(1), NOW - 90, Some(RemoveFromCrl))),
            (ours, (serial(2), NOW - 90, Some(RemoveFromCrl))),
            (None, key(4)),
        ],
    );
    come(&place, Some(&signer), &[whole], ALONE).unwrap();
    // Who signs is named again for what comes; what stays was named with it.
    let why = come(&place, None, std::slice::from_ref(&change), ALONE).unwrap_err();
    assert!(why.contains("--crl-issuer"), "{why}");
    let report = come(&place, Some(&signer), &[change], ALONE).unwrap();
    assert_eq!((report.revoked, report.lists.len()), (2, 2), "{report:?}");
    repeated(&place, 1, &[row(1), row(4)], &signer);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    assert!(verify(place.data.path(), NOW).unwrap().holds());

    // A partition that the CA signs itself, beside one that another signs for it.
    let place = Place::new();
    let ours = Some(&place.authority);
    let beside = List {
        point: Some("http://x/2.crl"),
        ..full(5, NOW - 300, &[])
    };
    let indirect = octets(&signer, &beside, &[(ours, key(1)), (Some(&other), key(2))]);
    come(&place, Some(&signer), &[indirect], ALONE).unwrap();
    let own = part("http://x/1.crl", 1, NOW - 300, &[key(3)]).sign(&place.authority);
    let report = come(&place, None, &[own], BESIDE).unwrap();
    assert_eq!(report.revoked, 2, "{report:?}");
    repeated(&place, 1, &[row(1), row(3)], &signer);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    assert!(verify(place.data.path(), NOW).unwrap().holds());
    // The certificate beside the lists is part of what was staged.
    let folder = place.data.path().join("staged");
    let folder = folder.join(place.authority.certificate.id().to_string());
    std::fs::write(folder.join("crl-issuer.der"), &other.certificate.der).unwrap();
    repeated_anyway(&place, 2, &[row(1), row(3)], &signer);
}

/// A batch is made of what was staged before somebody meddled.
fn repeated_anyway(place: &Place, number: u64, rows: &[Row], signer: &Authority) {
    let folder = place.data.path().join("staged");
    let folder = folder.join(place.authority.certificate.id().to_string());
    let meddled = std::fs::read(folder.join("crl-issuer.der")).unwrap();
    std::fs::write(folder.join("crl-issuer.der"), &signer.certificate.der).unwrap();
    repeated(place, number, rows, signer);
    std::fs::write(folder.join("crl-issuer.der"), meddled).unwrap();
    let why = place.refused(NOW);
    assert!(why.contains("crl-issuer.der"), "{why}");
}

/// An element of fewer than 128 octets.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

fn attribute(oid: u8, tag: u8, text: &[u8]) -> Vec<u8> {
    let kind = element(0x06, &[0x55, 0x04, oid]);
    element(0x30, &[kind, element(tag, text)].concat())
}

fn name(parts: &[&[Vec<u8>]]) -> Vec<u8> {
    let parts = parts.iter().map(|part| element(0x31, &part.concat()));
    element(0x30, &parts.collect::<Vec<_>>().concat())
}

/// What an indirect list says whose only entry names its issuer so.
fn judged_by(place: &Place, signer: &Authority, issuer: &[u8]) -> Result<Report, String> {
    let mut writer = CrlWriter::new();
    writer.push_of(issuer, serial(1).content(), NOW - 500, KEY);
    let tbs = writer.finish(&CrlHeader {
        algorithm: wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256,
        issuer: &signer.certificate.subject,
        this_update: NOW - 300,
        next_update: NOW + 86_400,
        number: 5,
        key_identifier: &signer.certificate.key_sha1,
        base_number: None,
        distribution_point: Some(IssuingDistributionPoint {
            is_indirect: true,
            ..IssuingDistributionPoint::default()
        }),
        freshest_uri: None,
    });
    come(place, Some(signer), &[signer.sign_crl(&tbs)], ALONE)
}

#[test]
fn a_name_that_is_spelt_otherwise_or_cannot_be_compared_is_somebody_elses() {
    let (place, signer) = (Place::new(), list_signer());
    let cn = |tag: u8, text: &[u8]| name(&[&[attribute(3, tag, text)]]);
    let wide: Vec<u8> = "Workshop CA".bytes().flat_map(|octet| [0, octet]).collect();
    let wider: Vec<u8> = "Workshop CA"
        .bytes()
        .flat_map(|octet| [0, 0, 0, octet])
        .collect();
    for ours in [
        cn(0x0c, b"Workshop CA"),
        cn(0x13, b"workshop  ca "),
        cn(0x14, b"Workshop CA"),
        cn(0x16, b"WORKSHOP CA"),
        cn(0x1e, &wide),
        cn(0x1c, &wider),
    ] {
        let report = judged_by(&place, &signer, &ours).unwrap();
        assert_eq!((report.revoked, report.others), (1, 0), "{ours:x?}");
    }
    let both = [
        attribute(3, 0x0c, b"Workshop CA"),
        attribute(10, 0x0c, b"X"),
    ];
    for others in [cn(0x0c, b"Workshop C"), name(&[&both]), name(&[])] {
        let report = judged_by(&place, &signer, &others).unwrap();
        assert_eq!((report.revoked, report.others), (0, 1), "{others:x?}");
        let doubt = "is it the right list";
        assert!(report.odd.iter().any(|odd| odd.contains(doubt)));
    }
    // No Name; text that is none of its kind.
    for unclear in [
        element(0x30, &element(0x30, &[])),
        cn(0x0c, b"Workshop \xff"),
        cn(0x1e, b"odd"),
        cn(0x1c, b"odd"),
        // No text at all; letters of a set that we only guess; letters that are written in another way too.
        cn(0x04, b"Workshop CA"),
        cn(0x14, b"Workshop \xc8CA"),
        cn(0x0c, "Workshop\u{200b} CA".as_bytes()),
    ] {
        let why = judged_by(&place, &signer, &unclear).unwrap_err();
        assert!(why.contains("does not say whose certificate"), "{why}");
    }
}

#[test]
fn the_parts_of_a_name_of_several_attributes_are_compared_in_the_order_they_are_written() {
    let signer = list_signer();
    let (one, two) = (
        attribute(3, 0x0c, b"Workshop CA"),
        attribute(10, 0x13, b"Works"),
    );
    let place = Place::new();
    let written = name(&[&[one.clone(), two.clone()]]);
    let turned = name(&[&[two, one]]);
    assert_eq!(
        wire::name::compare_names(&written, &turned),
        wire::name::NameMatch::Equivalent
    );
    assert_eq!(judged_by(&place, &signer, &turned).unwrap().others, 1);
}

#[test]
fn the_word_for_one_signers_lists_is_taken_for_anothers_or_for_a_list_about_others() {
    let all = How {
        complete: true,
        ..ALONE
    };
    let (place, signer) = (Place::new(), list_signer());
    let ours = Some(&place.authority);
    let other = Authority::found("Other CA");
    let of = |signer: &Authority, number, this_update, entries: &[Of<'_>]| {
        octets(signer, &full(number, this_update, &[]), entries)
    };
    // Nothing of ours: everybody would be good.
    let strange = of(&signer, 4, NOW - 400, &[(Some(&other), key(1))]);
    let why = come(&place, Some(&signer), &[strange], all).unwrap_err();
    assert!(
        why.contains("--complete would make all of them good"),
        "{why}"
    );
    let list = of(&signer, 5, NOW - 300, &[(ours, key(1))]);
    assert!(come(&place, Some(&signer), &[list], all).unwrap().complete);
    // The next one of another signer under the same bare point.
    let second = Authority::with("Second signer", |params| {
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
    });
    let list = of(&second, 9, NOW - 100, &[(Some(&other), key(1))]);
    let why = come(&place, Some(&second), &[list], ALONE).unwrap_err();
    assert!(why.contains("another scope"), "{why}");
    // The next one of the same signer, which speaks of us no longer.
    let list = of(&signer, 6, NOW - 200, &[(ours, key(1))]);
    assert!(
        come(&place, Some(&signer), &[list], ALONE)
            .unwrap()
            .complete
    );
    let list = of(&signer, 7, NOW - 100, &[(Some(&other), key(1))]);
    let report = come(&place, Some(&signer), &[list], ALONE).unwrap();
    assert!(!report.complete, "{report:?}");
}

#[test]
fn the_certificate_of_who_signs_lists_no_longer_is_served_for_ever() {
    let (place, signer) = (Place::new(), list_signer());
    let ours = Some(&place.authority);
    let list = octets(&signer, &full(5, NOW - 300, &[]), &[(ours, key(1))]);
    come(&place, Some(&signer), &[list], ALONE).unwrap();
    repeated(&place, 1, &[row(1)], &signer);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    let folder = place.data.path().join("staged");
    std::fs::remove_dir_all(&folder).unwrap();
    let own = full(1, NOW - 200, &[key(1), key(2)]).sign(&place.authority);
    come(&place, None, &[own], ALONE).unwrap();
    repeat(&place, 2, &[row(1), row(2)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    let store = crate::store::Store::at(place.data.path().join("store"));
    let pins = crate::seal::read_pins(&place.data.path().join("loader/seal.pub")).unwrap();
    let current = store.read_current(&pins).unwrap().unwrap();
    let mut names = current.manifest().objects.iter().map(|entry| &entry.name);
    assert!(names.all(|name| name != "crl-issuer.cer"));
    assert!(verify(place.data.path(), NOW).unwrap().holds());
}
