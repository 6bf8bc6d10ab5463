//! From linted to signed: the only place where an authority's key touches a certificate.

use super::CaError;
use super::lint::{Linted, Purpose, Signatory, lint};
use super::prepare::Prepared;
use crate::key::{Signer, certify, verify};

/// Lints, with the artefact named in the error.
pub(crate) fn checked(
    prepared: Prepared,
    signatory: &Signatory<'_>,
    purpose: Purpose,
    artefact: &str,
) -> Result<Linted, CaError> {
    lint(prepared, signatory, purpose).map_err(|source| CaError::Lint {
        artefact: format!("certificate of {artefact}"),
        source,
    })
}

/// Signs what was linted and checks the signature with another code path before anyone sees it.
pub(crate) fn sign(key: &dyn Signer, linted: &Linted, artefact: &str) -> Result<Vec<u8>, CaError> {
    let raw = key.sign(linted.tbs())?;
    verify::own(key.algorithm(), key.public_key_der(), linted.tbs(), &raw).map_err(|source| {
        CaError::SelfCheck {
            artefact: format!("certificate of {artefact}"),
            source,
        }
    })?;
    certify::assemble(linted.tbs(), key.algorithm(), &raw).map_err(CaError::encode("certificate"))
}
