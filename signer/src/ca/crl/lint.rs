//! Rules every list must keep before it leaves; each names its clause. [`Linted`] is the only thing that is recorded, and
//! only this room makes one.
//!
//! Entries are read back by the other half of the wire crate and compared one by one with what the registry said; header
//! and extensions are read by x509-parser too, in a copy without entries, so that a fault of either reader shows and a
//! million entries cost no million allocations.

use crate::ca::Issuer;
use crate::ca::lint::LintError;
use crate::key::verify::{self, Prepared};
use crate::registry::{Crl, Listed};
use wire::algorithm::ecdsa_raw_from_der;
use wire::crl::{CrlHeader, CrlWriter, IssuingDistributionPoint, assemble_crl};
use wire::status::RevocationReason;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// A signed list that keeps every rule.
#[derive(Debug)]
pub(super) struct Linted(Crl);

impl Linted {
    /// What is recorded.
    pub(super) fn crl(&self) -> &Crl {
        &self.0
    }

    /// What was recorded.
    pub(super) fn into_crl(self) -> Crl {
        self.0
    }
}

/// What a list was made from.
pub(super) struct Case<'a> {
    pub issuer: &'a Issuer,
    pub header: CrlHeader<'a>,
    /// The URI its distribution point must say, if it is a partition's.
    pub point: Option<&'a str>,
    /// The highest number this authority's lists had before.
    pub last_number: u64,
    /// Sorted by serial.
    pub listed: &'a [Listed],
    /// Hashed while it was signed, if it is long.
    pub prepared: Option<Prepared<'a>>,
}

/// Looks at everything.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn lint(crl: Crl, case: &Case<'_>) -> Result<Linted, LintError> {
    octets(&crl.der, case)?;
    frame(case)?;
    Ok(Linted(crl))
}

/// Our own reader: every octet, every entry.
fn octets(der: &[u8], case: &Case<'_>) -> Result<(), LintError> {
    let (issuer, header) = (case.issuer, &case.header);
    let read = wire::crl::Crl::parse(der)
        .map_err(|_| broken("the list must be readable", "RFC 5280 §5.1"))?;
    // RFC 5280 §5.1.2.1: a list with extensions is of version 2.
    must(read.is_v2, "a list is of version 2", "RFC 5280 §5.1.2.1")?;
    must(
        read.issuer == issuer.name_der && read.algorithm == issuer.algorithm.identifier(),
        "a list names its issuer and the issuer's algorithm",
        "RFC 5280 §5.1.2.2 and .3",
    )?;
    // RFC 5280 §5.1.2.5: nextUpdate stands in every list, and no list promises an update after its signer's end.
    let next = read.next_update;
    must(
        read.this_update == header.this_update
            && next == Some(header.next_update)
            && next.is_some_and(|next| next > read.this_update && next <= issuer.not_after),
        "nextUpdate lies after thisUpdate and before the issuer's end",
        "RFC 5280 §5.1.2.5",
    )?;
    // RFC 5280 §5.2.1: every list has the identifier of its issuer's key.
    must(
        read.extensions.key_identifier == Some(issuer.key_identifier.as_slice())
            && read.extensions.unknown_critical.is_none(),
        "a list names the key that signed it, and nothing critical that is unknown",
        "RFC 5280 §5.2.1",
    )?;
    numbers(&read, case)?;
    // CABF BR §7.2: lists are not indirect.
    // RFC 5280 §5.2.5: the distribution point of a partition is the one its certificates name.
    let name = case.point.map(IssuingDistributionPoint::name_of_uri);
    let expected = name.as_deref().map(|name| IssuingDistributionPoint {
        name: Some(name),
        ..IssuingDistributionPoint::default()
    });
    must(
        read.extensions.distribution_point == expected,
        "a partition's list says which, the list of all says nothing",
        "RFC 5280 §5.2.5",
    )?;
    // A million entries are read while the signature over them is verified.
    std::thread::scope(|scope| {
        let verified = scope.spawn(|| signed(&read, case));
        let listed = entries(&read, case);
        let verified = verified
            .join()
            .unwrap_or(Err(broken("the signature verifies", "RFC 5280 §5.1.1.3")));
        listed.and(verified)
    })
}

fn numbers(read: &wire::crl::Crl<'_>, case: &Case<'_>) -> Result<(), LintError> {
    let number = read.extensions.number.and_then(value);
    let base = read.extensions.base_number.map(value);
    // RFC 5280 §5.2.3: numbers only rise, and have at most 20 octets: ours have eight, below 2^159.
    must(
        number == Some(case.header.number) && case.header.number > case.last_number,
        "the number of a list is above that of every list before",
        "RFC 5280 §5.2.3",
    )?;
    // RFC 5280 §5.2.4: a delta names the list it changes, which is not after it.
    must(
        base == case.header.base_number.map(Some)
            && case
                .header
                .base_number
                .is_none_or(|base| base <= case.header.number),
        "a delta names the number of the list it changes",
        "RFC 5280 §5.2.4",
    )?;
    // RFC 5280 §5.2.6: freshestCRL does not stand in a delta.
    must(
        case.header.base_number.is_none() || read.extensions.freshest.is_none(),
        "a delta does not say where deltas are",
        "RFC 5280 §5.2.6",
    )
}

/// Content octets of a small non-negative INTEGER.
fn value(content: &[u8]) -> Option<u64> {
    let digits = content.strip_prefix(&[0]).unwrap_or(content);
    (digits.len() <= 8).then(|| {
        digits
            .iter()
            .fold(0, |sum, &octet| sum << 8 | u64::from(octet))
    })
}

fn entries(read: &wire::crl::Crl<'_>, case: &Case<'_>) -> Result<(), LintError> {
    let mut listed = case.listed.iter();
    let mut before = None;
    for entry in read.entries() {
        let entry = entry.map_err(|_| broken("every entry is readable", "RFC 5280 §5.3"))?;
        let row = listed
            .next()
            .ok_or(broken("no entry too many", "RFC 5280 §5.1.2.6"))?;
        // CABF BR §7.2.2: the reason unspecified is not written.
        // RFC 5280 §5.3.1: unspecified is said by leaving the reason out.
        let reason = Some(row.reason).filter(|reason| *reason != RevocationReason::Unspecified);
        must(
            entry.serial == row.serial
                && entry.revoked_at == row.at
                && entry.reason == reason
                && entry.invalid_since == row.invalidity_date,
            "every entry says what the registry says, and the reason unspecified is left out",
            "RFC 5280 §5.3",
        )?;
        // RFC 5280 §5.3.1: removeFromCRL stands in deltas only.
        must(
            read.is_delta() || entry.reason != Some(RevocationReason::RemoveFromCrl),
            "removeFromCRL stands in deltas only",
            "RFC 5280 §5.3.1",
        )?;
        must(
            before.is_none_or(|before| before < entry.serial),
            "entries are in order, and no serial stands twice",
            "RFC 5280 §5.3",
        )?;
        before = Some(entry.serial);
    }
    must(
        listed.next().is_none(),
        "no entry is missing",
        "RFC 5280 §5.1.2.6",
    )
}

fn signed(read: &wire::crl::Crl<'_>, case: &Case<'_>) -> Result<(), LintError> {
    let issuer = case.issuer;
    let raw = if issuer.algorithm.is_ecdsa_shaped() {
        ecdsa_raw_from_der(read.signature, issuer.algorithm.raw_octets() / 2).ok()
    } else {
        Some(read.signature.to_vec())
    };
    // What was hashed ahead counts only for the very octets that stand in the list.
    let prepared = case.prepared.as_ref();
    let prepared = prepared.filter(|prepared| prepared.message() == read.tbs);
    let verified = raw.is_some_and(|raw| match prepared {
        Some(prepared) => prepared.own(&raw).is_ok(),
        None => verify::own(issuer.algorithm, &issuer.public_key_der, read.tbs, &raw).is_ok(),
    });
    must(verified, "the signature verifies", "RFC 5280 §5.1.1.3")
}

/// Another reader: the same header around one entry of each kind.
fn frame(case: &Case<'_>) -> Result<(), LintError> {
    let mut writer = CrlWriter::new();
    for row in case.listed.iter().take(READ_TWICE) {
        writer.push(
            row.serial.content(),
            row.at,
            Some(row.reason),
            row.invalidity_date,
        );
    }
    let tbs = writer.finish(&case.header);
    let placeholder = vec![1; case.issuer.algorithm.raw_octets()];
    let whole = assemble_crl(&tbs, case.header.algorithm, &placeholder)
        .map_err(|_| broken("the list must be encodable", "X.690"))?;
    let (rest, read) = CertificateRevocationList::from_der(&whole)
        .map_err(|_| broken("the list must be readable by others", "RFC 5280 §5.1"))?;
    must(rest.is_empty(), "nothing may follow the list", "X.690 §8.1")?;
    let mut point = None;
    for extension in read.extensions() {
        let critical = match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(_) | ParsedExtension::CRLNumber(_) => false,
            ParsedExtension::IssuingDistributionPoint(found) => {
                point = found
                    .distribution_point
                    .as_ref()
                    .and_then(|name| match name {
                        DistributionPointName::FullName(names) => match names.as_slice() {
                            [GeneralName::URI(uri)] => Some(*uri),
                            _ => None,
                        },
                        DistributionPointName::NameRelativeToCRLIssuer(_) => None,
                    });
                true
            }
            _ => match extension.oid.to_id_string().as_str() {
                DELTA_CRL_INDICATOR => true,
                FRESHEST_CRL => false,
                _ => {
                    return Err(broken(
                        "no extension that was not asked for",
                        "RFC 5280 §5.2",
                    ));
                }
            },
        };
        // RFC 5280 §5.2: a delta's indicator and a distribution point are critical, the others are not.
        must(
            extension.critical == critical,
            "what a client must not overlook is critical, and only that",
            "RFC 5280 §5.2",
        )?;
    }
    // CABF BR §7.2.2.1: a partitioned list has a critical issuingDistributionPoint with the fullName URI of its certificates.
    must(
        point == case.point,
        "the distribution point is octet for octet the one that certificates name",
        "CABF BR 7.2.2.1",
    )
}

fn broken(rule: &'static str, clause: &'static str) -> LintError {
    LintError { rule, clause }
}

fn must(kept: bool, rule: &'static str, clause: &'static str) -> Result<(), LintError> {
    if kept {
        Ok(())
    } else {
        Err(broken(rule, clause))
    }
}

/// Entries that x509-parser reads as well.
const READ_TWICE: usize = 256;
const DELTA_CRL_INDICATOR: &str = "2.5.29.27";
const FRESHEST_CRL: &str = "2.5.29.46";
