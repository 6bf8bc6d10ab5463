//! Indirect lists: signed by another than the authority, with entries about certificates of several.

use super::together::{Elsewhere, refused, revoked, said};
use super::*;
use wire::batch::DocumentKind;
use wire::crl::{CrlHeader, CrlWriter, IssuingDistributionPoint};

const KEY: Option<RevocationReason> = Some(RevocationReason::KeyCompromise);
const REMOVED: Option<RevocationReason> = Some(RevocationReason::RemoveFromCrl);

/// Whose certificate, where the entry says so; serial, reason.
type Of<'a> = (Option<&'a Elsewhere>, u8, Option<RevocationReason>);

const INDIRECT: Option<IssuingDistributionPoint<'static>> = Some(IssuingDistributionPoint {
    name: None,
    scope: wire::crl::Scope::All,
    only_some_reasons: None,
    is_indirect: true,
});

/// A list's number, and the one it changes if it is a delta.
type Numbers = (u64, Option<u64>);

fn tbs(
    signer: &Elsewhere,
    (number, base_number): Numbers,
    distribution_point: Option<IssuingDistributionPoint<'_>>,
    entries: &[Of<'_>],
) -> Vec<u8> {
    let mut writer = CrlWriter::new();
    for (whose, serial, reason) in entries {
        match whose {
            None => writer.push(&[*serial], AT, *reason, None),
            Some(authority) => {
                writer.push_of(&authority.issuer.name_der, &[*serial], AT, *reason);
            }
        }
    }
    writer.finish(&CrlHeader {
        algorithm: signer.issuer.algorithm,
        issuer: &signer.issuer.name_der,
        this_update: signer.today - 300,
        next_update: signer.today + 86_400,
        number,
        key_identifier: &signer.issuer.key_identifier,
        base_number,
        distribution_point,
        freshest_uri: None,
    })
}

/// Stages these under an authority, as the loader would; `signer` is named as who signed them.
fn stage(
    folder: &Path,
    authority: &Elsewhere,
    signer: Option<&Elsewhere>,
    lists: &[Vec<u8>],
) -> IssuerId {
    let certificate = &authority.issuer.row.certificate;
    let id = super::stage(folder, certificate, &lists[0], None);
    let staged = folder.join("staged").join(id.to_string());
    let mut rows = String::new();
    let mut known = blake3::Hasher::new();
    let mut hashes = Vec::new();
    for (place, list) in lists.iter().enumerate() {
        let name = match place {
            0 => "crl.der".to_owned(),
            _ => format!("crl-{}.der", place + 1),
        };
        let hash = blake3::hash(list);
        rows.push_str(&format!(
            "[[lists]]\nname = \"{name}\"\nblake3 = \"{hash}\"\n"
        ));
        hashes.push(*hash.as_bytes());
        std::fs::write(staged.join(name), list).unwrap();
    }
    hashes.sort_unstable();
    known.update(b"hufu staged lists v1\0\0");
    known.update(&hashes.concat());
    let known = match lists {
        [only] => blake3::hash(only),
        _ => known.finalize(),
    };
    let named = signer.map(|signer| {
        let certificate = &signer.issuer.row.certificate;
        std::fs::write(staged.join("crl-issuer.der"), certificate).unwrap();
        format!("crl_issuer = \"{}\"\n", blake3::hash(certificate))
    });
    let options = format!(
        "allow_weak = false\ncrl_blake3 = \"{known}\"\nimported_at = \"2026-11-22T00:00:00Z\"\n{}{rows}",
        named.unwrap_or_default()
    );
    std::fs::write(staged.join("options.toml"), options).unwrap();
    id
}

// RFC 5280 §5.3.3: until an entry names an issuer, the list's own is meant.
// RFC 5280 §5.3.3: an entry that names no issuer is about the same one's certificates as the entry before it.
#[test]
fn an_entry_is_taken_for_another_authoritys_or_another_authoritys_for_ours() {
    let (authority, signer) = (Elsewhere::called("sm2"), Elsewhere::called("p256"));
    let today = signer.today;
    let here = tempfile::tempdir().unwrap();
    let office = founded(here.path());
    let mut shift = begin(&office);
    let ours = Some(&authority);
    let entries = [
        (None, 1, KEY),
        (ours, 2, KEY),
        (None, 3, KEY),
        (Some(&signer), 2, KEY),
        (None, 4, KEY),
        (ours, 6, KEY),
    ];
    let list = signer.sign(&tbs(&signer, (5, None), INDIRECT, &entries));
    let id = stage(
        here.path(),
        &authority,
        Some(&signer),
        std::slice::from_ref(&list),
    );
    let outcome = adopt(&mut shift, today);
    assert!(
        matches!(outcome, Outcome::Adopted { others: 3, .. }),
        "{outcome:?}"
    );
    let expected = [2, 3, 6].map(|serial| (serial, revoked(AT, KEY)));
    assert_eq!(said(&office, id, &outcome), expected);
    let number = outcome.written().unwrap().number;
    let (header, _) = read_batch(&office.home.batch(&id.0, number));
    // Those of the authority, whatever its lists are signed with.
    assert_eq!(header.variants.len(), 4);
    let others = header
        .documents
        .iter()
        .filter(|document| document.kind == DocumentKind::OtherCertificate);
    let others: Vec<_> = others.map(|document| &document.octets).collect();
    assert_eq!(others, [&signer.issuer.row.certificate]);
    // Who is not on it may stand on another.
    let folder = here.path().join("staged").join(id.to_string());
    let options = Options::read(&folder).unwrap();
    let staged = Staged::read(&folder, &options).unwrap();
    let judged = judge::judge(id, &staged, &options, today).unwrap();
    assert!(!judged.names_all_revoked);

    // With a delta: what it takes off another authority's stays ours.
    let changes = [
        (Some(&signer), 2, REMOVED),
        (ours, 3, REMOVED),
        (None, 7, KEY),
    ];
    let delta = signer.sign(&tbs(&signer, (6, Some(5)), INDIRECT, &changes));
    stage(here.path(), &authority, Some(&signer), &[list, delta]);
    let outcome = adopt(&mut shift, today);
    let expected = [2, 6, 7].map(|serial| (serial, revoked(AT, KEY)));
    assert_eq!(said(&office, id, &outcome), expected);
}

// RFC 5280 §6.3.3: (b)(1), a list of another issuer than the certificate's counts if it is indirect.
// RFC 5280 §5.3.3: a directory name is always there. Without one nobody knows whose certificate is revoked.
#[test]
fn somebody_signs_lists_who_was_not_named_or_names_nobody() {
    let (authority, signer) = (Elsewhere::called("sm2"), Elsewhere::called("p256"));
    let today = signer.today;
    let here = tempfile::tempdir().unwrap();
    let office = founded(here.path());
    let entries = [(Some(&authority), 1, KEY)];
    let indirect = tbs(&signer, (5, None), INDIRECT, &entries);
    let judged = |named: Option<&Elsewhere>, list: Vec<u8>| {
        let mut shift = begin(&office);
        stage(here.path(), &authority, named, &[list]);
        refused(adopt(&mut shift, today))
    };
    let unnamed = judged(None, signer.sign(&indirect));
    assert!(matches!(unnamed, Refusal::Name), "{unnamed}");
    // Another key under the same name.
    let forged = judged(Some(&signer), Elsewhere::called("p256").sign(&indirect));
    assert!(matches!(forged, Refusal::Signature(_)), "{forged}");
    let direct = tbs(&signer, (5, None), None, &[(None, 1, KEY)]);
    let direct = judged(Some(&signer), signer.sign(&direct));
    assert!(matches!(direct, Refusal::NotIndirect), "{direct}");
    // The authority's own list is about its own certificates, unless it says otherwise.
    let own = tbs(&authority, (5, None), None, &entries);
    let own = judged(None, authority.sign(&own));
    assert!(matches!(own, Refusal::Indirect), "{own}");
    // [4], a directory name, becomes [6], an address.
    let name = &authority.issuer.name_der;
    let mut nameless = indirect.clone();
    let at = nameless.windows(name.len()).position(|part| part == name);
    nameless[at.unwrap() - 2] = 0x86;
    let nameless = judged(Some(&signer), signer.sign(&nameless));
    assert!(matches!(nameless, Refusal::Nameless(_)), "{nameless}");
    // The certificate beside the list is not the one that was named.
    let mut shift = begin(&office);
    let id = stage(
        here.path(),
        &authority,
        Some(&signer),
        &[signer.sign(&indirect)],
    );
    let file = here
        .path()
        .join("staged")
        .join(id.to_string())
        .join("crl-issuer.der");
    std::fs::write(file, &authority.issuer.row.certificate).unwrap();
    let other = refused(adopt(&mut shift, today));
    assert!(
        matches!(other, Refusal::Staged(StagedError::OtherList(_))),
        "{other}"
    );
}

// RFC 5280 §5.2.3: numbers are those of one issuer's lists of one scope.
#[test]
fn one_signers_numbers_keep_another_out_or_nothing_ever_lets_a_scope_begin_anew() {
    let mut authority = Elsewhere::called("sm2");
    let signer = Elsewhere::called("p256");
    let today = signer.today;
    authority.today = today;
    let here = tempfile::tempdir().unwrap();
    let office = founded(here.path());
    let mut shift = begin(&office);
    let entries = [(Some(&authority), 1, KEY)];
    let list =
        |signer: &Elsewhere, number| signer.sign(&tbs(signer, (number, None), INDIRECT, &entries));
    stage(here.path(), &authority, Some(&signer), &[list(&signer, 5)]);
    assert!(matches!(adopt(&mut shift, today), Outcome::Adopted { .. }));
    // The authority's own list under the same bare point counts for itself.
    stage(here.path(), &authority, None, &[list(&authority, 1)]);
    assert!(matches!(adopt(&mut shift, today), Outcome::Adopted { .. }));
    stage(here.path(), &authority, Some(&signer), &[list(&signer, 6)]);
    assert!(matches!(adopt(&mut shift, today), Outcome::Adopted { .. }));
    stage(here.path(), &authority, Some(&signer), &[list(&signer, 1)]);
    let refusal = refused(adopt(&mut shift, today));
    assert!(matches!(refusal, Refusal::Backwards { .. }), "{refusal}");
    // Once as a replay: from then on it counts from there.
    let id = stage(here.path(), &authority, Some(&signer), &[list(&signer, 1)]);
    let file = here
        .path()
        .join("staged")
        .join(id.to_string())
        .join("options.toml");
    let plain = std::fs::read_to_string(&file).unwrap();
    let moment = jiff::Timestamp::from_second(today.cast_signed()).unwrap();
    std::fs::write(&file, format!("as_of = \"{moment}\"\n{plain}")).unwrap();
    assert!(matches!(adopt(&mut shift, today), Outcome::Adopted { .. }));
    stage(here.path(), &authority, Some(&signer), &[list(&signer, 2)]);
    assert!(matches!(adopt(&mut shift, today), Outcome::Adopted { .. }));
    // Its name spelt otherwise is the same scope.
    let mut respelt = tbs(&signer, (1, None), INDIRECT, &entries);
    let name = &signer.issuer.name_der;
    let at = respelt.windows(name.len()).position(|part| part == name);
    let text = &mut respelt[at.unwrap()..][..name.len()];
    let common_name = text.windows(3).position(|part| part == [0x55, 0x04, 0x03]);
    let place = common_name.unwrap() + 3;
    text[place] = if text[place] == 0x13 { 0x0c } else { 0x13 };
    stage(
        here.path(),
        &authority,
        Some(&signer),
        &[signer.sign(&respelt)],
    );
    let refusal = refused(adopt(&mut shift, today));
    assert!(matches!(refusal, Refusal::Backwards { .. }), "{refusal}");
    // Another key under one name counts for itself.
    let rekeyed = Elsewhere::called("p256");
    stage(
        here.path(),
        &authority,
        Some(&rekeyed),
        &[list(&rekeyed, 1)],
    );
    let outcome = adopt(&mut shift, today);
    assert!(matches!(outcome, Outcome::Adopted { .. }), "{outcome:?}");
}

/// An element of fewer than 128 octets.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// The Name of the SM2 authority with its last attribute, the commonName, written anew.
fn renamed(authority: &Elsewhere, tag: u8, text: &[u8]) -> Vec<u8> {
    let name = &authority.issuer.name_der;
    let kind = element(0x06, &[0x55, 0x04, 0x03]);
    let at = name.windows(kind.len()).position(|part| part == kind);
    // Behind SET and SEQUENCE, two octets each.
    let before = &name[2..at.unwrap() - 4];
    let attribute = element(0x30, &[kind, element(tag, text)].concat());
    element(0x30, &[before, &element(0x31, &attribute)].concat())
}

#[test]
fn a_name_that_is_spelt_otherwise_or_cannot_be_compared_is_somebody_elses() {
    let authority = Elsewhere::called("sm2");
    let signer = Elsewhere::called("p256");
    let today = signer.today;
    let here = tempfile::tempdir().unwrap();
    let office = founded(here.path());
    let judged = |name: &[u8]| {
        let mut writer = CrlWriter::new();
        writer.push_of(name, &[1], AT, KEY);
        let tbs = writer.finish(&CrlHeader {
            algorithm: signer.issuer.algorithm,
            issuer: &signer.issuer.name_der,
            this_update: today - 300,
            next_update: today + 86_400,
            number: 5,
            key_identifier: &signer.issuer.key_identifier,
            base_number: None,
            distribution_point: INDIRECT,
            freshest_uri: None,
        });
        let mut shift = begin(&office);
        stage(here.path(), &authority, Some(&signer), &[signer.sign(&tbs)]);
        adopt(&mut shift, today)
    };
    let wide: Vec<u8> = CN.bytes().flat_map(|octet| [0, octet]).collect();
    let wider: Vec<u8> = CN
        .bytes()
        .take(12)
        .flat_map(|octet| [0, 0, 0, octet])
        .collect();
    for (tag, text, others) in [
        (0x0c, CN.as_bytes(), 0),
        (0x13, b"hufu  demo issuing ca sm2 ", 0),
        (0x14, CN.as_bytes(), 0),
        (0x16, CN.as_bytes(), 0),
        (0x1e, &wide, 0),
        (0x0c, b"Hufu Demo Issuing CA", 1),
        (0x1c, &wider, 1),
    ] {
        let outcome = judged(&renamed(&authority, tag, text));
        let Outcome::Adopted { others: found, .. } = outcome else {
            panic!("{tag:x}: {outcome:?}");
        };
        assert_eq!(found, others, "{tag:x} {text:x?}");
    }
    for unclear in [
        element(0x30, &element(0x30, &[])),
        renamed(&authority, 0x0c, b"\xff"),
        renamed(&authority, 0x1e, b"odd"),
        renamed(&authority, 0x1c, b"odd"),
        // No text at all; letters of a set that we only guess; letters that are written in another way too.
        renamed(&authority, 0x04, CN.as_bytes()),
        renamed(&authority, 0x14, b"Hufu \xc8Demo"),
        renamed(&authority, 0x0c, "Hufu\u{200b} Demo".as_bytes()),
    ] {
        let refusal = refused(judged(&unclear));
        assert!(matches!(refusal, Refusal::Nameless(_)), "{refusal}");
    }
}

const CN: &str = "Hufu Demo Issuing CA SM2";
const AT: u64 = 1_700_000_000;
