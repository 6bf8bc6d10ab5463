//! Lists that no authority signed: index.txt and CSV.

use super::*;
use wire::batch::DocumentKind;

/// Stages a list that nobody signed, vouched for until then.
fn stage_unsigned(
    folder: &Path,
    issuer: &[u8],
    (form, file): (&str, &str),
    list: &str,
    (since, until): (u64, u64),
) -> IssuerId {
    let id = IssuerId(found::issuer_id(issuer).unwrap());
    let staged = folder.join("staged").join(id.to_string());
    std::fs::create_dir_all(&staged).unwrap();
    std::fs::write(staged.join("issuer.der"), issuer).unwrap();
    std::fs::write(staged.join(file), list).unwrap();
    let moment = |at: u64| jiff::Timestamp::from_second(i64::try_from(at).unwrap()).unwrap();
    let options = format!(
        "allow_weak = false\ncrl_blake3 = \"{}\"\nimported_at = \"{}\"\nform = \"{form}\"\n\
         trusted_by = \"Li Hua\"\ntrusted_until = \"{}\"\n",
        hex(blake3::hash(list.as_bytes()).as_bytes()),
        moment(since),
        moment(until)
    );
    std::fs::write(staged.join("options.toml"), options).unwrap();
    id
}

#[test]
fn a_list_nobody_signed_is_answered_otherwise_than_it_says_or_outlives_the_word_for_it() {
    let index = "V\t390101000000Z\t\t01\tunknown\t/CN=a\n\
                 R\t390101000000Z\t260101000000Z,superseded\t02\tunknown\t/CN=b\n\
                 E\t200101000000Z\t\t03\tunknown\t/CN=c\n";
    let csv = "serial,status,revoked_at,reason\n01,good,,\n02,revoked,2026-01-01T00:00:00Z,superseded\n03,expired,,\n";
    for (alias, form, list, variants) in [
        ("p256", ("index", "index.txt"), index, 2),
        ("sm2", ("csv", "status.csv"), csv, 4),
    ] {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (issuer, _, _) = elsewhere(there.path(), alias, 0);
        let office = founded(here.path());
        let (since, until) = (now() - 10, now() + 3600);
        let id = stage_unsigned(here.path(), &issuer, form, list, (since, until));
        let mut shift = begin(&office);
        let Outcome::Adopted { written, .. } = adopt(&mut shift, now()) else {
            panic!("not adopted");
        };
        let (header, records) = read_batch(&office.home.batch(&id.0, written.number));
        assert_eq!(header.variants.len(), variants);
        assert!(header.windows[0].next_update <= until);
        assert!((since..=now()).contains(&header.windows[0].this_update));
        let kinds: Vec<_> = header
            .documents
            .iter()
            .map(|document| document.kind)
            .collect();
        assert_eq!(kinds, [DocumentKind::IssuerCertificate]);
        let mut said: Vec<_> = records
            .iter()
            .map(|record| (record.0.to_string(), record.1))
            .collect();
        said.sort_by(|one, other| one.0.cmp(&other.0));
        let revoked = CertStatus::Revoked {
            at: 1_767_225_600,
            reason: Some(RevocationReason::Superseded),
        };
        let good = CertStatus::Good;
        let expected = [("01", good), ("02", revoked), ("03", good)];
        assert_eq!(
            said,
            expected.map(|(serial, status)| (serial.to_owned(), status))
        );
        assert!(matches!(adopt(&mut shift, now()), Outcome::Unchanged(_)));

        // Vouched for anew: the same octets, another end.
        let later = (now(), now() + 7200);
        stage_unsigned(here.path(), &issuer, form, list, later);
        assert!(matches!(adopt(&mut shift, now()), Outcome::Adopted { .. }));
        // Nobody vouches any more.
        let Outcome::Refused { why, .. } = adopt(&mut shift, later.1) else {
            panic!("answered past the end of the trust");
        };
        assert!(matches!(why, Refusal::NoLongerTrusted { .. }), "{why}");
    }
}

#[test]
fn a_wrong_line_of_a_list_nobody_signed_is_passed_over() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (issuer, _, _) = elsewhere(there.path(), "p256", 0);
    let office = founded(here.path());
    let mut shift = begin(&office);
    let good = "V\t390101000000Z\t\t01\tunknown\t/CN=a\n";
    for (line, told) in [
        (
            "V\t390101000000Z\t\t0001\tunknown\t/CN=b\n",
            "stands in the list twice",
        ),
        ("V\tsoon\t\t02\tunknown\t/CN=b\n", "line 2: expiry “soon”"),
        (
            "R\t390101000000Z\t390101000000Z\t02\tunknown\t/CN=b\n",
            "line 2: its revocation",
        ),
    ] {
        let list = format!("{good}{line}");
        let form = ("index", "index.txt");
        stage_unsigned(here.path(), &issuer, form, &list, (now(), now() + 3600));
        let Outcome::Refused { why, .. } = adopt(&mut shift, now()) else {
            panic!("adopted: {line}");
        };
        assert!(why.to_string().contains(told), "{line}: {why}");
    }
}
