//! RFC 5280 extensions, and RFC 6960's for OCSP signers.

use super::{Case, LintError, Purpose, Rule, broken, must};
use crate::ca::extension::OCSP_NOCHECK;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};

pub(super) const RULES: &[Rule] = &[
    unique,
    readable,
    key_identifiers,
    constraints,
    ocsp_signer,
    locations,
    revocable,
];

fn unique(case: &Case<'_>) -> Result<(), LintError> {
    must(
        case.certificate.extensions_map().is_ok(),
        "no extension may stand twice",
        "RFC 5280 §4.2",
    )
}

fn readable(case: &Case<'_>) -> Result<(), LintError> {
    let unreadable = case.certificate.extensions().iter().any(|extension| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::ParseError { .. }
        )
    });
    must(
        !unreadable,
        "every known extension must be readable",
        "RFC 5280 §4.2",
    )
}

fn key_identifiers(case: &Case<'_>) -> Result<(), LintError> {
    let clause = "RFC 5280 §4.2.1.1 and .2";
    let mut subject = None;
    let mut authority = None;
    for extension in case.certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => subject = Some(identifier.0),
            ParsedExtension::AuthorityKeyIdentifier(identifier) => {
                authority = identifier.key_identifier.as_ref().map(|key| key.0);
            }
            _ => {}
        }
    }
    let computed = case.subject_key_identifier();
    must(
        subject.is_some() && subject == computed.as_ref().map(<[u8; 20]>::as_slice),
        "the subject key identifier must be SHA-1 of the public key",
        clause,
    )?;
    let named = authority == Some(case.signatory.key_identifier.as_slice());
    must(
        named || (case.purpose.is_self_signed() && authority.is_none()),
        "the authority key identifier must name the signing key",
        clause,
    )
}

fn constraints(case: &Case<'_>) -> Result<(), LintError> {
    let clause = "RFC 5280 §4.2.1.3 and .9";
    let constraints = case.certificate.basic_constraints();
    let constraints = constraints.map_err(|_| broken("basicConstraints once", clause))?;
    let usage = case.certificate.key_usage();
    let usage = usage
        .map_err(|_| broken("keyUsage once", clause))?
        .ok_or(broken("keyUsage must be there", clause))?;
    let is_authority = constraints.as_ref().is_some_and(|found| found.value.ca);
    let must_be = matches!(case.purpose, Purpose::Root | Purpose::Authority);
    must(is_authority == must_be, "only authorities say cA", clause)?;
    must(
        usage.value.key_cert_sign() == must_be && usage.value.crl_sign() == must_be,
        "authorities, and only they, sign certificates and lists",
        clause,
    )?;
    if let (true, Some(found)) = (must_be, &constraints) {
        must(
            found.critical && usage.critical,
            "basicConstraints and keyUsage of an authority must be critical",
            clause,
        )?;
        must(
            case.purpose == Purpose::Root || found.value.path_len_constraint.is_some(),
            "an issuing authority must limit its path",
            clause,
        )?;
    }
    Ok(())
}

/// RFC 6960 §4.2.2.2: a delegate has id-kp-OCSPSigning; §4.2.2.2.1: nocheck, or the client would ask about it for ever.
fn ocsp_signer(case: &Case<'_>) -> Result<(), LintError> {
    let clause = "RFC 6960 §4.2.2.2";
    let purposes = case.certificate.extended_key_usage();
    let purposes = purposes.map_err(|_| broken("extKeyUsage once", clause))?;
    let has_purpose = purposes.is_some_and(|found| found.value.ocsp_signing);
    let has_nocheck = case
        .certificate
        .extensions()
        .iter()
        .any(|extension| extension.oid.to_id_string() == OCSP_NOCHECK.to_string());
    let is_delegate = case.purpose.is_responder();
    must(
        has_purpose == is_delegate && has_nocheck == is_delegate,
        "OCSP signers, and only they, have id-kp-OCSPSigning and ocsp-nocheck",
        clause,
    )?;
    Ok(())
}

/// RFC 9608 §3: noRevAvail stands in no authority's certificate, nor beside where a list or a responder is, as every other of
/// ours says.
fn revocable(case: &Case<'_>) -> Result<(), LintError> {
    let mut extensions = case.certificate.extensions().iter();
    must(
        extensions.all(|extension| extension.oid.to_id_string() != NO_REV_AVAIL),
        "what can be revoked must not say that nobody tells so",
        "RFC 9608 §3",
    )
}

fn locations(case: &Case<'_>) -> Result<(), LintError> {
    if case.purpose == Purpose::Root || case.purpose.is_responder() {
        return Ok(());
    }
    let clause = "GM/T 0015 §5.2.4.2.11 and .13";
    let mut list = false;
    let mut access = false;
    let named = case
        .signatory
        .locations
        .map(|issuer| issuer.list_uri(case.prepared.list));
    for extension in case.certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => {
                // RFC 5280 §5.2.5: the list of a partition says the very URI that its certificates say.
                list = match points.points.as_slice() {
                    [point] => match &point.distribution_point {
                        Some(DistributionPointName::FullName(names)) => match names.as_slice() {
                            [GeneralName::URI(uri)] => {
                                is_http(&GeneralName::URI(uri)) && named.as_deref() == Some(*uri)
                            }
                            _ => false,
                        },
                        _ => false,
                    },
                    _ => false,
                };
            }
            ParsedExtension::AuthorityInfoAccess(found) => {
                let says = |method: &str| {
                    let mut methods = found.accessdescs.iter();
                    methods.any(|entry| entry.access_method.to_id_string() == method)
                };
                // Authorities are answered for by their root's list alone.
                let answered = case.purpose != Purpose::Subject || says(OCSP);
                access = says(CA_ISSUERS)
                    && answered
                    && found
                        .accessdescs
                        .iter()
                        .all(|entry| is_http(&entry.access_location));
            }
            _ => {}
        }
    }
    must(
        list,
        "a certificate must say where its list is, over HTTP, and it must be the list it is put on",
        clause,
    )?;
    must(
        access,
        "a certificate must say where its issuer is, a subject's also where its responder is, over HTTP",
        clause,
    )
}

/// id-ad-ocsp.
const OCSP: &str = "1.3.6.1.5.5.7.48.1";
/// id-ad-caIssuers.
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

fn is_http(name: &GeneralName<'_>) -> bool {
    matches!(name, GeneralName::URI(uri) if uri.starts_with("http://") || uri.starts_with("https://"))
}

/// id-ce-noRevAvail
const NO_REV_AVAIL: &str = "2.5.29.56";
