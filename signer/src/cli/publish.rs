//! `found`, `crl`, `sign`, `serve`, `adopt`: the verbs behind which keys work. Each opens the office, calls
//! the room that does it, and says what was done.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest;
use der::pem::LineEnding;
use der::{Decode, EncodePem};
use serde_json::{Value, json};
use wire::time::UnixSeconds;
use x509_cert::Certificate;

use super::args::{Common, FoundArgs, PassArgs, ServeArgs, SignArgs};
use super::say::say;
use super::submit::progress;
use super::{Outcome, PARTIAL, REFUSED, open, table};
use crate::adopt::{Outcome as Adoption, responder};
use crate::ca::{CaError, crl as lists, found as founding};
use crate::error::{SignerError, sentence};
use crate::registry::{By, Crl, ListForm};
use crate::serve::{self as serving, PassReport, Shift};

pub(super) fn found(common: &Common, args: &FoundArgs, now: UnixSeconds) -> Outcome {
    let office = open::new_office(common, &args.data.folder)?;
    let by = By::person(&args.officer, now);
    let authorities = founding::found(&office, &args.public_url, by)?;
    // Its public half is what `hufu-loader init` pins: it must lie there before anything is signed.
    let _ = office.keyring.batch_key()?;
    let rows: Vec<_> = authorities
        .iter()
        .map(|issuer| {
            (
                issuer.alias().to_owned(),
                fingerprint(&issuer.row.certificate),
            )
        })
        .collect();
    if args.data.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(alias, print)| json!({ "alias": alias, "sha256": print }))
            .collect();
        say!(
            "{}",
            json!({ "public_url": args.public_url, "authorities": rows })
        );
    } else {
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(alias, print)| vec![alias, print])
            .collect();
        table::print(&["CA", "SHA-256 of the certificate 证书指纹"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn crl(common: &Common, args: &PassArgs, now: UnixSeconds) -> Outcome {
    let office = open::office(common, &args.data.folder)?;
    // Two processes that write lists would give one number to two of them, or serve the older one.
    let _shift = Shift::begin(&office).map_err(served_already)?;
    let issuers = office.issuers()?;
    let written = lists::write(&office, &issuers, lists::Urgency::Now, By::signer(now))?;
    let issuer = |list: &Crl| issuers.iter().find(|i| i.id() == list.authority);
    let alias = |list: &Crl| issuer(list).map_or("", |i| i.alias()).to_owned();
    let name = |list: &Crl| {
        let name = issuer(list).map(|issuer| match list.form {
            ListForm::Full => issuer.list_name(list.scope),
            ListForm::Delta { .. } => issuer.delta_name(list.scope),
        });
        name.unwrap_or_default()
    };
    if args.data.json {
        let rows: Vec<_> = written
            .iter()
            .map(|crl| {
                json!({ "ca": alias(crl), "list": name(crl), "number": crl.number, "base": base(crl), "revision": crl.revision,
                    "this_update": crl.this_update, "next_update": crl.next_update, "octets": crl.der.len() })
            })
            .collect();
        say!("{}", json!(rows));
    } else {
        let rows: Vec<_> = written
            .iter()
            .map(|crl| {
                let until = table::moment(crl.next_update);
                vec![
                    name(crl),
                    crl.number.to_string(),
                    until,
                    crl.der.len().to_string(),
                ]
            })
            .collect();
        table::print(
            &["列表 list", "编号 number", "下次更新 next update", "octets"],
            &rows,
        );
        say!("next: hufu signer sign hands them to the loader (serve does so by itself)");
    }
    Ok(ExitCode::SUCCESS)
}

/// The number of the list that a delta changes.
fn base(list: &Crl) -> Option<u64> {
    match list.form {
        ListForm::Full => None,
        ListForm::Delta { base } => Some(base),
    }
}

pub(super) fn sign(common: &Common, args: &SignArgs) -> Outcome {
    let office = open::office(common, &args.data.folder)?;
    let mut shift = Shift::begin(&office).map_err(served_already)?;
    if args.all {
        shift.forget_all()?;
    }
    let bar = progress(0, "responses signed");
    let report = shift.pass(&serving::clock, &|signed| bar.inc(signed))?;
    bar.finish_and_clear();
    if args.data.json {
        let rows: Vec<_> = report
            .batches
            .iter()
            .map(|b| {
                json!({ "issuer": b.issuer, "kind": format!("{:?}", b.kind).to_lowercase(),
                    "number": b.number, "records": b.records, "revision": b.revision })
            })
            .collect();
        say!(
            "{}",
            json!({ "batches": rows, "adoptions": report.adoptions.len() })
        );
    } else if report.batches.is_empty() {
        say!("nothing was due");
    } else {
        let rows: Vec<_> = report
            .batches
            .iter()
            .map(|b| {
                let kind = format!("{:?}", b.kind).to_lowercase();
                let numbers = [b.number, b.records, b.revision].map(|n| n.to_string());
                [vec![b.issuer.clone(), kind], numbers.to_vec()].concat()
            })
            .collect();
        table::print(&["issuer", "batch", "number", "records", "revision"], &rows);
        say!(
            "next: hufu loader publish --data {}",
            args.data.folder.display()
        );
    }
    Ok(ended(&report))
}

/// Says what failed while the rest went on.
fn ended(report: &PassReport) -> ExitCode {
    for fault in &report.faults {
        eprintln!("error: {}: {}", fault.issuer, sentence(&fault.error));
    }
    match (report.faults.is_empty(), report.batches.is_empty()) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::from(REFUSED),
        (false, false) => ExitCode::from(PARTIAL),
    }
}

pub(super) fn serve(common: &Common, args: &ServeArgs) -> Outcome {
    let office = open::office(common, &args.data.folder)?;
    if !founding::is_founded(&office)? {
        return Err(SignerError::NotFounded(args.data.folder.clone()));
    }
    if args.check {
        say!("configuration and registry are in order");
        return Ok(ExitCode::SUCCESS);
    }
    let mut shift = Shift::begin(&office)?;
    if let Some(address) = args.metrics {
        let failed = |source| SignerError::Metrics { address, source };
        let metrics = shift.metrics();
        let address = crate::admin::serve(address, move || metrics.text()).map_err(failed)?;
        tracing::info!(%address, "telling metrics");
    }
    let stop = stop_on_signal()?;
    let authorities = office.issuers()?.len();
    tracing::info!(authorities, data = %args.data.folder.display(), "signing whatever changes or falls due");
    shift.run(serving::clock, || stop.load(Ordering::Relaxed));
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// True once SIGTERM or SIGINT came: the pass under way is finished, then the loop ends.
fn stop_on_signal() -> Result<Arc<AtomicBool>, SignerError> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(SignerError::Process)?;
    let (mut term, mut interrupt) = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(SignerError::Process);
        (
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        told.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}

pub(super) fn adopt(common: &Common, args: &PassArgs) -> Outcome {
    let office = open::office(common, &args.data.folder)?;
    let mut shift = Shift::begin(&office).map_err(served_already)?;
    let bar = progress(0, "responses signed");
    let report = shift.pass(&serving::clock, &|signed| bar.inc(signed))?;
    bar.finish_and_clear();
    let rows: Vec<_> = report.adoptions.iter().map(adoption).collect();
    let refused = report
        .adoptions
        .iter()
        .filter(|outcome| {
            matches!(
                outcome,
                Adoption::Refused { .. } | Adoption::StillRefused(_) | Adoption::Failed { .. }
            )
        })
        .count();
    if args.data.json {
        say!("{}", json!(rows));
    } else if rows.is_empty() {
        say!("nothing is staged; `hufu loader import --help` shows how");
    } else {
        for row in &rows {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            say!("{}: {} {}", text("outcome"), text("issuer"), text("name"));
            for (key, what) in [("sha256", "SHA-256 of its certificate"), ("why", "because")] {
                if row[key].is_string() {
                    say!("   {what}: {}", text(key));
                }
            }
            if let Some(as_of) = row["as_of"].as_u64() {
                say!("   REPLAYED as of {}", table::moment(as_of));
            }
            if let Some(records) = row["records"].as_u64() {
                say!(
                    "   {records} revoked serials signed, revision {}",
                    row["revision"]
                );
            }
            for (key, what) in [
                (
                    "repeated",
                    "serials stand on the list more than once; the latest date counts",
                ),
                ("cleared", "entries clear a serial (removeFromCRL)"),
            ] {
                if let Some(count) = row[key].as_u64().filter(|count| *count > 0) {
                    say!("   {count} {what}");
                }
            }
        }
        if let Some(der) = responder::certificate(&office)? {
            say!("answers are signed by this local responder; clients must be told to trust it:");
            say!("SHA-256 of its certificate: {}", fingerprint(&der));
            let pem = Certificate::from_der(&der).and_then(|c| c.to_pem(LineEnding::LF));
            say!(
                "{}",
                pem.map_err(CaError::encode("local responder"))?.trim_end()
            );
        }
    }
    Ok(match (refused, rows.len()) {
        (0, _) => ended(&report),
        (refused, all) if refused == all => ExitCode::from(REFUSED),
        _ => ExitCode::from(PARTIAL),
    })
}

/// What became of one staged list, for machines and for the lines above.
fn adoption(outcome: &Adoption) -> Value {
    match outcome {
        Adoption::Adopted {
            issuer,
            name,
            fingerprint,
            revision,
            as_of,
            repeated,
            cleared,
            others,
            written,
        } => json!({ "outcome": "adopted", "issuer": issuer.to_string(), "name": name,
            "sha256": pairs(fingerprint), "revision": revision, "as_of": as_of,
            "records": written.records, "repeated": repeated, "cleared": cleared, "others": others }),
        Adoption::Renewed(written) => json!({ "outcome": "signed again", "issuer": written.issuer,
            "revision": written.revision, "records": written.records }),
        Adoption::Unchanged(issuer) => {
            json!({ "outcome": "unchanged", "issuer": issuer.to_string() })
        }
        Adoption::Refused { issuer, why } => {
            json!({ "outcome": "REFUSED", "issuer": issuer.to_string(), "why": sentence(why) })
        }
        Adoption::Failed { issuer, error } => {
            json!({ "outcome": "FAILED", "issuer": issuer.to_string(), "why": sentence(error) })
        }
        Adoption::StillRefused(issuer) => {
            json!({ "outcome": "REFUSED", "issuer": issuer.to_string(), "why": "as before" })
        }
    }
}

/// Only one process writes the spool; if `serve` is it, nothing is left to do by hand.
fn served_already(error: serving::ServeError) -> SignerError {
    if let serving::ServeError::Locked(_) = error {
        eprintln!(
            "note: `hufu signer serve` is at work on this folder; it signs and adopts by itself"
        );
    }
    error.into()
}

/// SHA-256 of a certificate.
fn fingerprint(certificate: &[u8]) -> String {
    pairs(digest::digest(&digest::SHA256, certificate).as_ref())
}

/// A fingerprint as people compare it.
fn pairs(octets: &[u8]) -> String {
    let pairs: Vec<_> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    pairs.join(":")
}
