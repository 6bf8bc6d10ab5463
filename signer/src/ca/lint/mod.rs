//! Rules every certificate must keep before it is reserved, and again before a reservation is signed.
//!
//! The linter reads with x509-parser what was written with x509-cert, so that a fault of either shows. One family of rules
//! in a file; each rule names its clause. [`Linted`] is the only thing that can be reserved, and only this room makes one.

mod extensions;
mod form;
mod gmt0015;
mod key;

use super::prepare::Prepared;
use super::{Issuer, extension};
use crate::key::certify;
use crate::registry::ListScope;
use wire::algorithm::SignatureAlgorithm;
use wire::serial::Serial;
use wire::time::UnixSeconds;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub use key::{family, signs_with};

/// What a certificate is meant to be; decides which rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A self-signed authority.
    Root,
    /// An authority below a root.
    Authority,
    /// A delegated OCSP signer.
    OcspSigner,
    /// The self-signed responder for other authorities' lists.
    LocalResponder,
    /// A person, unit or device.
    Subject,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule} ({clause})")]
pub struct LintError {
    /// The rule, in a sentence.
    pub rule: &'static str,
    /// Where it stands.
    pub clause: &'static str,
}

/// A TBSCertificate that keeps every rule.
#[derive(Debug, Clone)]
pub struct Linted {
    prepared: Prepared,
}

impl Linted {
    /// Its serial.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.prepared.serial
    }

    /// TBSCertificate, DER.
    #[must_use]
    pub fn tbs(&self) -> &[u8] {
        &self.prepared.tbs
    }

    /// The partition whose list it names; none: the list of all.
    #[must_use]
    pub fn partition(&self) -> Option<u32> {
        match self.prepared.list {
            ListScope::Whole => None,
            ListScope::Partition(number) => Some(number),
        }
    }

    /// notBefore.
    #[must_use]
    pub fn not_before(&self) -> UnixSeconds {
        self.prepared.not_before
    }

    /// notAfter.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        self.prepared.not_after
    }
}

/// Who is about to sign: the facts the rules compare with.
#[derive(Debug, Clone)]
pub struct Signatory<'a> {
    /// Its Name, DER.
    pub name_der: &'a [u8],
    /// What it signs with.
    pub algorithm: SignatureAlgorithm,
    /// SHA-1 of its public key.
    pub key_identifier: [u8; 20],
    /// End of its own validity.
    pub not_after: UnixSeconds,
    /// Whose lists its certificates name; none for what certifies itself.
    pub locations: Option<&'a Issuer>,
}

impl<'a> From<&'a Issuer> for Signatory<'a> {
    fn from(issuer: &'a Issuer) -> Self {
        Self {
            name_der: &issuer.name_der,
            algorithm: issuer.algorithm,
            key_identifier: issuer.key_identifier,
            not_after: issuer.not_after,
            locations: Some(issuer),
        }
    }
}

/// Looks at everything.
///
/// # Errors
/// The first rule that is broken.
pub fn lint(
    prepared: Prepared,
    signatory: &Signatory<'_>,
    purpose: Purpose,
) -> Result<Linted, LintError> {
    // The parser wants a whole certificate: the signature is a placeholder, checked for real after signing.
    let placeholder = vec![1; signatory.algorithm.raw_octets()];
    let whole = certify::assemble(&prepared.tbs, signatory.algorithm, &placeholder)
        .map_err(|_| broken("the certificate must be encodable", "X.690"))?;
    let (rest, certificate) = X509Certificate::from_der(&whole)
        .map_err(|_| broken("the certificate must be readable", "RFC 5280 §4.1"))?;
    if !rest.is_empty() {
        return Err(broken("nothing may follow the certificate", "X.690 §8.1"));
    }
    let case = Case {
        certificate: &certificate,
        prepared: &prepared,
        signatory,
        purpose,
    };
    for rule in form::RULES
        .iter()
        .chain(key::RULES)
        .chain(extensions::RULES)
        .chain(gmt0015::RULES)
    {
        rule(&case)?;
    }
    Ok(Linted { prepared })
}

impl Purpose {
    /// Whether it signs itself.
    fn is_self_signed(self) -> bool {
        matches!(self, Self::Root | Self::LocalResponder)
    }

    /// Whether it answers OCSP.
    fn is_responder(self) -> bool {
        matches!(self, Self::OcspSigner | Self::LocalResponder)
    }
}

/// What a rule looks at.
struct Case<'a> {
    certificate: &'a X509Certificate<'a>,
    prepared: &'a Prepared,
    signatory: &'a Signatory<'a>,
    purpose: Purpose,
}

impl Case<'_> {
    /// SHA-1 of the subject's public key.
    fn subject_key_identifier(&self) -> Option<[u8; 20]> {
        extension::key_identifier(self.certificate.public_key().raw).ok()
    }
}

type Rule = fn(&Case<'_>) -> Result<(), LintError>;

fn broken(rule: &'static str, clause: &'static str) -> LintError {
    LintError { rule, clause }
}

/// `Ok` if `kept`.
fn must(kept: bool, rule: &'static str, clause: &'static str) -> Result<(), LintError> {
    if kept {
        Ok(())
    } else {
        Err(broken(rule, clause))
    }
}

#[cfg(test)]
mod tests;
