//! Version, serial, algorithm, names, validity.

use super::{Case, LintError, Purpose, Rule, must};
use wire::time::UnixSeconds;
use x509_parser::x509::X509Version;

pub(super) const RULES: &[Rule] = &[
    version, serial, algorithm, issuer, subject, validity, nested,
];

fn version(case: &Case<'_>) -> Result<(), LintError> {
    must(
        case.certificate.version() == X509Version::V3,
        "a certificate with extensions must be version 3",
        "RFC 5280 §4.1.2.1",
    )
}

fn serial(case: &Case<'_>) -> Result<(), LintError> {
    let content = case.certificate.raw_serial();
    must(
        content == case.prepared.serial.content(),
        "the serial must be the reserved one",
        "reservation",
    )?;
    must(
        content.first().is_some_and(|first| *first < 0x80) && content.iter().any(|o| *o != 0),
        "the serial must be positive",
        "RFC 5280 §4.1.2.2",
    )?;
    must(
        content.len() <= 20,
        "the serial must have at most 20 octets",
        "RFC 5280 §4.1.2.2",
    )?;
    must(
        content.len() >= 9,
        "the serial must hold 64 random bits",
        "CA/B BR §7.1",
    )
}

fn algorithm(case: &Case<'_>) -> Result<(), LintError> {
    // The outer one is the signatory's: this room put it there.
    must(
        case.certificate.signature_algorithm == case.certificate.tbs_certificate.signature,
        "the inner signature algorithm must be the issuer's",
        "RFC 5280 §4.1.1.2",
    )
}

fn issuer(case: &Case<'_>) -> Result<(), LintError> {
    must(
        case.certificate.issuer().as_raw() == case.signatory.name_der,
        "the issuer must be the signing authority's subject, octet for octet",
        "RFC 5280 §4.1.2.4",
    )
}

fn subject(case: &Case<'_>) -> Result<(), LintError> {
    let subject = case.certificate.subject();
    must(
        subject.iter_common_name().count() == 1,
        "the subject must have one common name",
        "GM/T 0015 §5.2.3.6",
    )?;
    let country = subject
        .iter_country()
        .next()
        .map(|value| value.attr_value().tag());
    must(
        country == Some(x509_parser::der_parser::asn1_rs::Tag::PrintableString),
        "the country must be there, as a PrintableString",
        "GM/T 0015 §5.2.3.4",
    )?;
    let fits = subject.iter_attributes().all(|value| {
        value.as_str().is_ok_and(|text| {
            let count = text.chars().count();
            count > 0 && count <= crate::ca::name::UPPER_BOUND_CHARACTERS
        })
    });
    must(
        fits,
        "no part of the subject may be empty or pass 64 characters",
        "RFC 5280 App. A",
    )
}

fn validity(case: &Case<'_>) -> Result<(), LintError> {
    let stated = case.certificate.validity();
    let (from, to) = (
        seconds(stated.not_before.timestamp()),
        seconds(stated.not_after.timestamp()),
    );
    must(
        (from, to)
            == (
                Some(case.prepared.not_before),
                Some(case.prepared.not_after),
            ),
        "the dates must be the reserved ones",
        "reservation",
    )?;
    must(
        from < to,
        "notBefore must lie before notAfter",
        "RFC 5280 §4.1.2.5",
    )?;
    for time in [&stated.not_before, &stated.not_after] {
        // 2050-01-01T00:00:00Z
        let through_2049 = time.timestamp() < 2_524_608_000;
        must(
            time.is_utctime() == through_2049,
            "dates through 2049 must be UTCTime, later ones GeneralizedTime",
            "RFC 5280 §4.1.2.5",
        )?;
    }
    Ok(())
}

/// Signatures that outlive their issuer's certificate could never be verified; GM/T 0015 Annex A asks the same.
fn nested(case: &Case<'_>) -> Result<(), LintError> {
    must(
        case.purpose == Purpose::Root || case.prepared.not_after <= case.signatory.not_after,
        "a certificate must not outlive its issuer's",
        "RFC 5280 §6.1, shell model",
    )
}

fn seconds(timestamp: i64) -> Option<UnixSeconds> {
    u64::try_from(timestamp).ok()
}
