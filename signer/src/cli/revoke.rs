//! `revoke`: one certificate, by serial or by name and number, on a ground.

use std::process::ExitCode;

use serde_json::json;
use wire::time::UnixSeconds;

use super::args::{RevokeArgs, Which};
use super::say::say;
use super::{Outcome, open, table};
use crate::error::SignerError;
use crate::ra::unit_code::UnitCode;
use crate::registry::{
    Blocking, By, Certificate, CertificateFilter, CertificateKind, CertificateState, Revocation,
    Store,
};

pub(super) fn revoke(args: &RevokeArgs, now: UnixSeconds) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    let found = one(&registry, &args.which)?;
    let order = Revocation {
        id: found.id,
        reason: args.ground.reason(),
        ground: args.ground.chinese().to_owned(),
        at: now,
        invalidity_date: args.invalidity_date,
    };
    let by = By::person(&args.officer, now);
    let revision = registry.wait(|store| store.revoke(&order, by))?;
    let (ground, reason) = (args.ground.chinese(), order.reason.name());
    if args.data.json {
        say!(
            "{}",
            json!({ "serial": found.serial.to_string(), "ca": found.alias, "name": found.name,
            "ground": ground, "reason": reason, "at": now, "revision": revision })
        );
    } else {
        say!(
            "revoked 已撤销: {} {} {}",
            found.alias,
            found.serial,
            found.name
        );
        say!(
            "ground 原因: {ground} ({reason}); at {}; revision {revision}",
            table::moment(now)
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The one certificate that is meant. By name and number the live one is meant, if there is one.
pub(super) fn one<S: Store>(
    registry: &Blocking<S>,
    which: &Which,
) -> Result<Certificate, SignerError> {
    let mut found = registry.wait(|store| {
        let filter = filter(which);
        async move { store.certificates(&filter).await }
    })?;
    if which.serial.is_none() {
        found.retain(|c| c.kind == CertificateKind::Subject);
        let live =
            |c: &Certificate| matches!(c.state, CertificateState::Issued | CertificateState::Held);
        if found.iter().any(live) {
            found.retain(live);
        }
    }
    match found.len() {
        0 => Err(SignerError::NoCertificate),
        1 => Ok(found.remove(0)),
        _ => {
            let serials = found
                .iter()
                .map(|c| format!("{} {} ({})", c.alias, c.serial, c.state.name()));
            Err(SignerError::SeveralCertificates(serials.collect()))
        }
    }
}

/// The filter these words ask for.
pub(super) fn filter(which: &Which) -> CertificateFilter {
    CertificateFilter {
        alias: which.ca.clone(),
        serial: which.serial,
        name: which.name.clone(),
        number: which.number.as_deref().map(canonical),
        subject_key: which.number.as_deref().and_then(unit_key),
        ..CertificateFilter::default()
    }
}

/// The unit that has this code, whichever of its two codes the form had.
fn unit_key(number: &str) -> Option<String> {
    let code = UnitCode::parse(number.trim()).ok()?;
    Some(crate::ra::row::unit_key(&code))
}

/// A number as the registry keeps it: codes without hyphen, letters of numbers in upper case.
fn canonical(number: &str) -> String {
    let number = number.trim();
    match UnitCode::parse(number) {
        Ok(code) => code.as_str().to_owned(),
        Err(_) if number.bytes().all(|octet| octet.is_ascii_alphanumeric()) => {
            number.to_ascii_uppercase()
        }
        Err(_) => number.to_owned(),
    }
}
