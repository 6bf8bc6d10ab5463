//! `hold` and `release`: one certificate suspended, and good again.

use std::process::ExitCode;

use serde_json::json;
use wire::status::RevocationReason;
use wire::time::UnixSeconds;

use super::args::{HoldArgs, ReleaseArgs};
use super::say::say;
use super::{Outcome, open, revoke, table};
use crate::error::SignerError;
use crate::registry::{By, Certificate, CertificateKind, Revision, Revocation, Store};

pub(super) fn hold(args: &HoldArgs, now: UnixSeconds) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    let found = revoke::one(&registry, &args.which)?;
    // An OCSP signer on hold would void what it signed, and an authority all that it issued: those are revoked or not.
    if found.kind != CertificateKind::Subject {
        return Err(SignerError::NotHeld {
            serial: found.serial.to_string(),
            kind: found.kind.name(),
        });
    }
    let order = Revocation {
        id: found.id,
        // RFC 5280 §5.3.1: certificateHold is the one reason that can be taken back.
        reason: RevocationReason::CertificateHold,
        ground: args.why.clone(),
        at: now,
        invalidity_date: None,
    };
    let by = By::person(&args.officer, now);
    let revision = registry.wait(|store| store.revoke(&order, by))?;
    tell(&found, "held", "held 已暂停", revision, now, args.data.json);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn release(args: &ReleaseArgs, now: UnixSeconds) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    let found = revoke::one(&registry, &args.which)?;
    let by = By::person(&args.officer, now);
    let revision = registry.wait(|store| store.release(found.id, by))?;
    let words = "released 已恢复";
    tell(&found, "released", words, revision, now, args.data.json);
    Ok(ExitCode::SUCCESS)
}

fn tell(
    found: &Certificate,
    outcome: &str,
    words: &str,
    revision: Revision,
    now: UnixSeconds,
    as_json: bool,
) {
    if as_json {
        say!(
            "{}",
            json!({ "outcome": outcome, "serial": found.serial.to_string(), "ca": found.alias,
                "name": found.name, "at": now, "revision": revision })
        );
        return;
    }
    say!("{words}: {} {} {}", found.alias, found.serial, found.name);
    say!("at {}; revision {revision}", table::moment(now));
}
