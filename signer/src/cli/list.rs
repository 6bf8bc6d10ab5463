//! `list`: certificates, submissions, authorities.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::ListArgs;
use super::say::say;
use super::{Outcome, open, revoke, table};
use crate::registry::{Certificate, CertificateKind, Submission, SubmissionNumber};
use crate::text::hex;

pub(super) fn list(args: &ListArgs) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    if args.submissions {
        let rows = registry.wait(crate::registry::Store::submissions)?;
        show_submissions(&rows, args.data.json);
    } else if args.authorities {
        let rows = registry.wait(crate::registry::Store::authorities)?;
        show_authorities(&rows, args.data.json);
    } else {
        let mut filter = revoke::filter(&args.which);
        filter.kind = (!args.all && filter.serial.is_none()).then_some(CertificateKind::Subject);
        filter.state = args.state;
        filter.submission = args.submission.map(SubmissionNumber);
        filter.limit = args.limit;
        let rows = registry.drive(crate::registry::Store::certificates(
            registry.store(),
            &filter,
        ))?;
        show_certificates(&rows, args.data.json);
    }
    Ok(ExitCode::SUCCESS)
}

fn show_certificates(rows: &[Certificate], json: bool) {
    if json {
        say!("{}", Value::Array(rows.iter().map(certificate).collect()));
        return;
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|c| {
            let until = table::moment(c.not_after);
            let submission = c
                .item
                .map_or_else(String::new, |(_, number)| number.to_string());
            let (kind, serial) = (kind(c).to_owned(), c.serial.to_string());
            vec![
                c.alias.clone(),
                serial,
                kind,
                c.name.clone(),
                c.state.name().to_owned(),
                until,
                submission,
            ]
        })
        .collect();
    let headers = [
        "CA",
        "序列号 serial",
        "类型 kind",
        "名称 name",
        "状态 state",
        "有效期至 until",
        "受理号",
    ];
    table::print(&headers, &cells);
}

/// A certificate for machines; `status` is what OCSP says of it.
pub(super) fn certificate(c: &Certificate) -> Value {
    let status = match (&c.revoked, &c.certificate) {
        (Some(_), _) => "revoked",
        (None, Some(_)) => "good",
        (None, None) => "unauthorized",
    };
    let revoked = c.revoked.as_ref().map(|mark| {
        json!({ "at": mark.at, "reason": mark.reason.name(), "ground": mark.ground, "officer": mark.officer })
    });
    json!({ "serial": c.serial.to_string(), "ca": c.alias, "kind": kind(c), "name": c.name,
        "status": status, "state": c.state.name(), "not_before": c.not_before, "not_after": c.not_after,
        "submission": c.item.map(|(_, number)| number), "revoked": revoked, "revision": c.revision })
}

/// person, unit, device; ocsp-signer and authority for our own.
pub(super) fn kind(c: &Certificate) -> &'static str {
    c.subject_kind
        .map_or(c.kind.name(), crate::registry::SubjectKind::name)
}

fn show_submissions(rows: &[Submission], json: bool) {
    if json {
        say!("{}", json!(rows));
        return;
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|s| {
            let officer = s.officer.clone().unwrap_or_default();
            let counts = [s.accepted, s.refused, s.issued].map(|n| n.to_string());
            let [accepted, refused, issued] = counts;
            vec![
                s.number.to_string(),
                s.alias.clone(),
                s.kind.name().to_owned(),
                s.unit_name.clone(),
                s.state.name().to_owned(),
                s.clerk.clone(),
                officer,
                accepted,
                refused,
                issued,
            ]
        })
        .collect();
    let headers = [
        "受理号",
        "CA",
        "类型 kind",
        "单位 unit",
        "状态 state",
        "受理人 clerk",
        "审核人 officer",
        "受理 accepted",
        "退 refused",
        "签发 issued",
    ];
    table::print(&headers, &cells);
}

fn show_authorities(rows: &[crate::registry::Authority], json: bool) {
    let algorithm =
        |code| wire::algorithm::SignatureAlgorithm::from_code(code).map_or("unknown", |a| a.name());
    if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|a| {
                json!({ "alias": a.alias, "parent": a.parent, "algorithm": algorithm(a.algorithm),
                    "issuer_id": hex(&a.issuer_id), "shards": a.shards, "public_url": a.public_url,
                    "created_at": a.created_at })
            })
            .collect();
        say!("{}", json!(rows));
        return;
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|a| {
            let parent = a.parent.clone().unwrap_or_default();
            let (name, id) = (algorithm(a.algorithm).to_owned(), hex(&a.issuer_id));
            vec![a.alias.clone(), parent, name, id, a.public_url.clone()]
        })
        .collect();
    table::print(
        &[
            "CA",
            "上级 parent",
            "算法 algorithm",
            "issuer id",
            "public URL",
        ],
        &cells,
    );
}
