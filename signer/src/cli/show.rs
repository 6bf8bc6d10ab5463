//! `show`: all about one thing, or who did what when.

use std::process::ExitCode;

use serde_json::json;

use super::args::ShowArgs;
use super::say::say;
use super::{Outcome, list, open, revoke, table};
use crate::registry::{Blocking, RegistryError, SqliteStore, Store, SubmissionNumber};

pub(super) fn show(args: &ShowArgs) -> Outcome {
    let registry = open::registry(&args.data.folder)?;
    if let Some(number) = args.submission {
        submission(&registry, SubmissionNumber(number), args.data.json)
    } else if args.audit {
        audit(&registry, args.after, args.data.json)
    } else {
        certificate(&registry, args)
    }
}

fn submission(registry: &Blocking<SqliteStore>, number: SubmissionNumber, json: bool) -> Outcome {
    let found = registry.wait(|s| s.submission(number))?;
    let found = found.ok_or(RegistryError::NoSubmission(number))?;
    let items = registry.wait(|s| s.items(number))?;
    let refused = registry.wait(|s| s.refusals(number))?;
    if json {
        let items: Vec<_> = items
            .iter()
            .map(|i| json!({ "line": i.line, "name": i.name, "state": i.state, "key_by_signer": i.spki.is_none() }))
            .collect();
        say!(
            "{}",
            json!({ "submission": found, "items": items, "refused": refused })
        );
        return Ok(ExitCode::SUCCESS);
    }
    say!(
        "submission 受理号 {number}: {} {}",
        found.unit_name,
        found.unit_code
    );
    say!(
        "state 状态 {}; CA {}; {}",
        found.state.name(),
        found.alias,
        found.kind.name()
    );
    say!(
        "clerk 受理人 {}, {}",
        found.clerk,
        table::moment(found.received_at)
    );
    if let (Some(officer), Some(at)) = (&found.officer, found.approved_at) {
        say!("officer 审核人 {officer}, {}", table::moment(at));
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for item in &items {
        rows.push(vec![
            item.line.to_string(),
            item.state.name().to_owned(),
            item.name.clone(),
            String::new(),
        ]);
    }
    for row in &refused {
        let what = format!("{} {}: {:?}", row.column, row.column_english, row.value);
        rows.push(vec![
            row.line.to_string(),
            "REFUSED".to_owned(),
            what,
            row.rule.clone(),
        ]);
    }
    rows.sort_by_key(|row| row.first().and_then(|line| line.parse::<u64>().ok()));
    table::print(&["行 line", "状态 state", "名称 name", "规则 rule"], &rows);
    Ok(ExitCode::SUCCESS)
}

fn certificate(registry: &Blocking<SqliteStore>, args: &ShowArgs) -> Outcome {
    let found = revoke::one(registry, &args.which)?;
    if args.data.json {
        say!("{}", list::certificate(&found));
        return Ok(ExitCode::SUCCESS);
    }
    say!("certificate 证书 {} {}", found.alias, found.serial);
    say!("subject 主体 {} ({})", found.name, list::kind(&found));
    say!(
        "state 状态 {}; revision {}",
        found.state.name(),
        found.revision
    );
    say!(
        "valid 有效期 {} … {}",
        table::moment(found.not_before),
        table::moment(found.not_after)
    );
    if let Some((_, number)) = found.item {
        say!("submission 受理号 {number}");
    }
    if let Some(mark) = &found.revoked {
        let at = table::moment(mark.at);
        say!(
            "revoked 已撤销 {at}: {} ({}), by {}",
            mark.ground,
            mark.reason.name(),
            mark.officer
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn audit(registry: &Blocking<SqliteStore>, after: u64, json: bool) -> Outcome {
    let entries = registry.wait(|s| s.audit(after, AT_ONCE))?;
    if json {
        say!("{}", json!(entries));
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|e| {
            let revision = e.revision.map_or_else(String::new, |r| r.to_string());
            vec![
                e.number.to_string(),
                table::moment(e.at),
                e.who.clone(),
                e.act.clone(),
                e.object.clone(),
                revision,
            ]
        })
        .collect();
    table::print(
        &[
            "no",
            "时间 at",
            "何人 who",
            "何事 act",
            "对象 object",
            "revision",
        ],
        &rows,
    );
    if let Some(last) = entries.last().filter(|_| entries.len() == AT_ONCE as usize) {
        say!("more: --after {}", last.number);
    }
    Ok(ExitCode::SUCCESS)
}

/// Audit entries shown at once.
const AT_ONCE: u32 = 1000;
