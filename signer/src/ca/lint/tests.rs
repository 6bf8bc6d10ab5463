//! Each rule is broken once, and the rule that speaks is the right one.

use super::*;
use crate::ca::extension::{self as ext, Weight};
use crate::ca::name::NameParts;
use crate::ca::prepare::{self, Draft};
use crate::ca::tests::{founded, now};
use crate::key;
use der::Decode;
use der::asn1::OctetString;
use wire::time::UnixSeconds;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::KeyUsages;

struct Bench {
    issuer: Issuer,
    draft: Draft,
    _folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let mut extensions = vec![
        ext::key_usage(KeyUsages::DigitalSignature, Weight::NonCritical).unwrap(),
        ext::extended_key_usage(&[ext::KP_CLIENT]).unwrap(),
        ext::policies(&[ext::ANY_POLICY]).unwrap(),
    ];
    extensions.extend(prepare::location_extensions(&issuer, ListScope::Whole).unwrap());
    let draft = Draft {
        subject: name("CN", "张三"),
        public_key_der: public_key(SignatureAlgorithm::EcdsaP256Sha256),
        not_before: now(),
        not_after: now() + 86_400,
        extensions,
        list: ListScope::Whole,
    };
    Bench {
        issuer,
        draft,
        _folder: folder,
    }
}

fn name(country: &str, common_name: &str) -> x509_cert::name::Name {
    NameParts {
        country,
        common_name,
        ..NameParts::default()
    }
    .build()
    .unwrap()
}

fn public_key(algorithm: SignatureAlgorithm) -> Vec<u8> {
    let pkcs8 = key::generate(algorithm).unwrap();
    key::open(algorithm, &pkcs8)
        .unwrap()
        .public_key_der()
        .to_vec()
}

impl Bench {
    fn judge(&self, purpose: Purpose) -> Result<Linted, LintError> {
        let prepared = prepare::prepare(&self.issuer, &self.draft).unwrap();
        lint(prepared, &Signatory::from(&self.issuer), purpose)
    }

    fn rule(&self) -> &'static str {
        self.judge(Purpose::Subject).unwrap_err().rule
    }

    fn drop_extension(&mut self, oid: &str) {
        let count = self.draft.extensions.len();
        self.draft
            .extensions
            .retain(|extension| extension.extn_id.to_string() != oid);
        assert!(self.draft.extensions.len() < count);
    }
}

#[test]
fn a_good_certificate_is_refused() {
    bench().judge(Purpose::Subject).unwrap();
}

#[test]
fn a_wrong_name_passes() {
    let mut bench = bench();
    bench.draft.subject = name("", "张三");
    assert!(bench.rule().starts_with("the country must be there"));
    bench.draft.subject = name("CN", "");
    assert!(
        bench
            .rule()
            .starts_with("the subject must have one common name")
    );
    bench.draft.subject = name("CN", &"长".repeat(65));
    assert!(bench.rule().starts_with("no part of the subject"));
    bench.draft.subject = name("CN", &"长".repeat(64));
    bench.judge(Purpose::Subject).unwrap();
}

#[test]
fn dates_that_make_no_sense_pass() {
    let mut bench = bench();
    bench.draft.not_after = bench.draft.not_before;
    assert!(bench.rule().starts_with("notBefore must lie before"));
    bench.draft.not_after = bench.issuer.not_after + 1;
    assert!(bench.rule().starts_with("a certificate must not outlive"));
}

#[test]
fn another_serial_or_other_dates_than_the_reserved_ones_pass() {
    let bench = bench();
    let signatory = Signatory::from(&bench.issuer);
    let mut prepared = prepare::prepare(&bench.issuer, &bench.draft).unwrap();
    prepared.serial = Serial::from_content(&[7; 16]).unwrap();
    let error = lint(prepared, &signatory, Purpose::Subject).unwrap_err();
    assert!(error.rule.starts_with("the serial must be the reserved"));
    let mut prepared = prepare::prepare(&bench.issuer, &bench.draft).unwrap();
    prepared.not_after += 1;
    let error = lint(prepared, &signatory, Purpose::Subject).unwrap_err();
    assert!(error.rule.starts_with("the dates must be the reserved"));
}

#[test]
fn another_authority_signs_what_was_prepared() {
    let (bench, other) = (bench(), bench());
    let prepared = prepare::prepare(&bench.issuer, &bench.draft).unwrap();
    let error = lint(
        prepared.clone(),
        &Signatory::from(&other.issuer),
        Purpose::Subject,
    );
    assert!(
        error
            .unwrap_err()
            .rule
            .starts_with("the authority key identifier")
    );
    let mut renamed = Signatory::from(&bench.issuer);
    let name_der = NameParts {
        country: "CN",
        ..NameParts::default()
    }
    .to_der()
    .unwrap();
    renamed.name_der = &name_der;
    let error = lint(prepared, &renamed, Purpose::Subject).unwrap_err();
    assert!(error.rule.starts_with("the issuer must be the signing"));
}

#[test]
fn a_key_that_is_weak_foreign_or_no_point_passes() {
    let mut bench = bench();
    bench.draft.public_key_der = public_key(SignatureAlgorithm::Sm2Sm3);
    assert!(
        bench
            .rule()
            .starts_with("an SM2 authority certifies SM2 keys")
    );
    let mut off_curve = public_key(SignatureAlgorithm::EcdsaP256Sha256);
    *off_curve.last_mut().unwrap() ^= 1;
    bench.draft.public_key_der = off_curve;
    assert!(
        bench
            .rule()
            .starts_with("the public key must be one we certify")
    );
    for algorithm in [
        SignatureAlgorithm::Rsa2048Sha256,
        SignatureAlgorithm::Ed25519,
    ] {
        bench.draft.public_key_der = public_key(algorithm);
        bench.judge(Purpose::Subject).unwrap();
    }
}

#[test]
fn a_missing_extension_passes() {
    for (oid, rule) in [
        ("2.5.29.15", "keyUsage must be there"),
        ("2.5.29.32", "certificatePolicies must be there"),
        ("2.5.29.31", "a certificate must say where its list is"),
        (
            "1.3.6.1.5.5.7.1.1",
            "a certificate must say where its issuer",
        ),
    ] {
        let mut bench = bench();
        bench.drop_extension(oid);
        assert!(bench.rule().starts_with(rule), "{oid}: {}", bench.rule());
    }
}

#[test]
fn a_subject_nobody_answers_for_passes() {
    let mut bench = bench();
    bench.drop_extension("1.3.6.1.5.5.7.1.1");
    let silent = ext::access(None, "http://127.0.0.1/ca/p256.cer").unwrap();
    bench.draft.extensions.push(silent);
    assert!(bench.rule().contains("where its responder is"));
}

#[test]
fn an_extension_twice_passes() {
    let mut bench = bench();
    let again = bench.draft.extensions[0].clone();
    bench.draft.extensions.push(again);
    assert!(bench.rule().starts_with("no extension may stand twice"));
}

// RFC 9608 §3: noRevAvail does not stand beside where a list or a responder is.
#[test]
fn a_certificate_of_which_nobody_would_tell_that_it_is_revoked_passes() {
    let mut bench = bench();
    bench.draft.extensions.push(Extension {
        extn_id: "2.5.29.56".parse().unwrap(),
        critical: false,
        extn_value: OctetString::new([5, 0]).unwrap(),
    });
    assert!(bench.rule().starts_with("what can be revoked must not"));
}

#[test]
fn a_subject_that_may_sign_certificates_or_answer_ocsp_passes() {
    let with = |extension: Extension, oid: &str| {
        let mut bench = bench();
        if !oid.is_empty() {
            bench.drop_extension(oid);
        }
        bench.draft.extensions.push(extension);
        bench.rule()
    };
    assert!(with(ext::authority(0).unwrap(), "").starts_with("only authorities say cA"));
    let signs = ext::key_usage(KeyUsages::KeyCertSign, Weight::NonCritical).unwrap();
    assert!(with(signs, "2.5.29.15").starts_with("authorities, and only they"));
    assert!(with(ext::ocsp_nocheck().unwrap(), "").starts_with("OCSP signers, and only they"));
    let answers = ext::extended_key_usage(&[ext::KP_OCSP_SIGNING]).unwrap();
    assert!(with(answers, "2.5.29.37").starts_with("OCSP signers, and only they"));
}

#[test]
fn a_certificate_for_both_uses_passes() {
    let mut bench = bench();
    bench.drop_extension("2.5.29.15");
    let both = KeyUsages::DigitalSignature | KeyUsages::DataEncipherment;
    bench
        .draft
        .extensions
        .push(ext::key_usage(both, Weight::Critical).unwrap());
    assert!(bench.rule().starts_with("one certificate must not both"));
    bench.drop_extension("2.5.29.15");
    let encrypts = KeyUsages::KeyEncipherment | KeyUsages::DataEncipherment;
    bench
        .draft
        .extensions
        .push(ext::key_usage(encrypts, Weight::NonCritical).unwrap());
    assert!(
        bench
            .rule()
            .starts_with("keyUsage of an encryption certificate")
    );
}

#[test]
fn a_number_of_the_wrong_type_passes() {
    let mut bench = bench();
    let mut number = ext::printable(ext::TAXATION_NUMBER, "91350100M000100Y43").unwrap();
    number.critical = true;
    bench.draft.extensions.push(number.clone());
    assert!(
        bench
            .rule()
            .starts_with("the numbers of GM/T 0015 must be non-critical")
    );
    number.critical = false;
    let text = der::asn1::OctetString::new(vec![0x0C, 1, b'9']).unwrap();
    *bench.draft.extensions.last_mut().unwrap() = Extension {
        extn_value: text,
        ..number
    };
    assert!(
        bench
            .rule()
            .starts_with("the numbers of GM/T 0015 must have the types")
    );
}

// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime after.
#[test]
fn a_certificate_of_2050_has_the_wrong_kind_of_date() {
    // A root may live that long; the builder must change to GeneralizedTime by itself.
    let bench = bench();
    let until: UnixSeconds = 2_600_000_000;
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    let draft = Draft {
        not_after: until,
        extensions: prepare::authority_extensions(1).unwrap(),
        ..bench.draft.clone()
    };
    let name_der = der::Encode::to_der(&draft.subject).unwrap();
    let signatory = Signatory {
        name_der: &name_der,
        algorithm,
        key_identifier: ext::key_identifier(&draft.public_key_der).unwrap(),
        not_after: until,
        locations: None,
    };
    let prepared = prepare::prepare_root(algorithm, &draft).unwrap();
    let linted = lint(prepared, &signatory, Purpose::Root).unwrap();
    let tbs = x509_cert::certificate::TbsCertificate::from_der(linted.tbs()).unwrap();
    assert!(matches!(
        tbs.validity().not_after,
        x509_cert::time::Time::GeneralTime(_)
    ));
}

#[test]
fn a_certificate_names_another_list_than_the_one_it_is_put_on() {
    let mut bench = bench();
    bench.draft.list = ListScope::Partition(3);
    assert!(
        bench
            .rule()
            .starts_with("a certificate must say where its list is")
    );
    bench.drop_extension("2.5.29.31");
    bench
        .draft
        .extensions
        .push(ext::distribution_point(&bench.issuer.list_uri(ListScope::Partition(3))).unwrap());
    let linted = bench.judge(Purpose::Subject).unwrap();
    assert_eq!(linted.partition(), Some(3));
}
