//! `export`: certificates as PEM, to a file or standard output.

use std::fs;
use std::process::ExitCode;

use der::pem::LineEnding;

use super::args::{ExportArgs, What};
use super::{Outcome, open, revoke};
use crate::ca::CaError;
use crate::error::SignerError;
use crate::registry::{Authority, Blocking, SqliteStore, Store};

pub(super) fn export(args: &ExportArgs) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    let certificates = match (args.what, &args.which.ca) {
        (Some(what), Some(alias)) => own(&registry, what, alias)?,
        _ => {
            let found = revoke::one(&registry, &args.which)?;
            vec![found.certificate.ok_or(SignerError::NoCertificate)?]
        }
    };
    let text: String = certificates.iter().map(|der| pem(der)).collect();
    match &args.out {
        Some(path) => fs::write(path, text).map_err(|source| SignerError::File {
            path: path.clone(),
            source,
        })?,
        None => super::say::text(&text),
    }
    Ok(ExitCode::SUCCESS)
}

/// The authority and everything above it, lowest first; or one of them.
fn own(
    registry: &Blocking<SqliteStore>,
    what: What,
    alias: &str,
) -> Result<Vec<Vec<u8>>, SignerError> {
    let all = registry.wait(Store::authorities)?;
    let named = |alias: &str| all.iter().find(|a| a.alias == alias);
    let first = named(alias).ok_or_else(|| CaError::NoAuthority(alias.to_owned()))?;
    let above = |a: &&Authority| a.parent.as_deref().and_then(named);
    // A registry edited into a circle must not hang us: no chain is longer than there are authorities.
    let chain = std::iter::successors(Some(first), above).take(all.len());
    let mut certificates: Vec<_> = chain.map(|a| a.certificate.clone()).collect();
    match what {
        What::Chain => {}
        What::Issuer => certificates.truncate(1),
        What::Root => drop(certificates.drain(..certificates.len().saturating_sub(1))),
    }
    Ok(certificates)
}

/// RFC 7468.
fn pem(der: &[u8]) -> String {
    der::pem::encode_string("CERTIFICATE", LineEnding::LF, der)
        .expect("a certificate is not so long that its length overflows")
}
