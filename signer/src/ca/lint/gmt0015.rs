//! What GM/T 0015 adds for certificates of persons, units and devices.

use super::{Case, LintError, Purpose, Rule, broken, must};
use x509_parser::extensions::{ParsedExtension, X509Extension};

pub(super) const RULES: &[Rule] = &[policies, key_usage, numbers];

fn policies(case: &Case<'_>) -> Result<(), LintError> {
    let there = case.certificate.extensions().iter().any(|extension| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::CertificatePolicies(_)
        )
    });
    must(
        there || case.purpose != Purpose::Subject,
        "certificatePolicies must be there",
        "GM/T 0015 §5.2.4.2.5",
    )
}

/// Critical in both halves of a pair, non-critical in a single certificate; never signing and encryption in one.
fn key_usage(case: &Case<'_>) -> Result<(), LintError> {
    if case.purpose != Purpose::Subject {
        return Ok(());
    }
    let clause = "GM/T 0015 §5.2.4.2.3, Annexes A and C";
    let usage = case
        .certificate
        .key_usage()
        .ok()
        .flatten()
        .ok_or(broken("keyUsage must be there", clause))?;
    let signs = usage.value.digital_signature() || usage.value.non_repudiation();
    let enciphers = usage.value.data_encipherment();
    must(
        !(signs && enciphers),
        "one certificate must not both sign and encipher",
        clause,
    )?;
    let encryption_half = enciphers && !signs;
    must(
        usage.critical || !encryption_half,
        "keyUsage of an encryption certificate must be critical",
        clause,
    )
}

/// The five extensions are non-critical and hold the types the standard names.
fn numbers(case: &Case<'_>) -> Result<(), LintError> {
    let clause = "GM/T 0015 §5.2.4.2.14 to .18";
    for extension in case.certificate.extensions() {
        let oid = extension.oid.to_id_string();
        let Some(last) = oid.strip_prefix("1.2.156.10260.4.1.") else {
            continue;
        };
        must(
            !extension.critical,
            "the numbers of GM/T 0015 must be non-critical",
            clause,
        )?;
        let typed = match last {
            "1" => is_identify_code(extension),
            "2" | "3" | "4" | "5" => is_printable(extension.value),
            _ => false,
        };
        must(
            typed,
            "the numbers of GM/T 0015 must have the types it names",
            clause,
        )?;
    }
    Ok(())
}

fn is_printable(octets: &[u8]) -> bool {
    matches!(octets, [0x13, length, text @ ..] if usize::from(*length) == text.len() && !text.is_empty())
}

/// `[0]`, `[1]` or `[2]`, explicit (a0…) or implicit (80…).
fn is_identify_code(extension: &X509Extension<'_>) -> bool {
    let [tag, length, content @ ..] = extension.value else {
        return false;
    };
    usize::from(*length) == content.len()
        && match tag {
            0x80..=0x82 => !content.is_empty(),
            0xA0 | 0xA2 => is_printable(content),
            0xA1 => matches!(content, [0x0C, rest @ ..] if rest.len() > 1),
            _ => false,
        }
}
