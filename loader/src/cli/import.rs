//! `import --crl`: judge and stage one CRL, print the report.

use std::process::ExitCode;

use super::{ImportArgs, Outcome, now};
use crate::import::crl::Judging;
use crate::import::file::{CrlImport, import_crl};
use crate::import::trust::WeakPolicy;

pub(super) fn run(args: &ImportArgs) -> Outcome {
    let weak = WeakPolicy::of(args.allow_weak);
    let report = import_crl(&CrlImport {
        crl: &args.crl,
        issuer: &args.issuer,
        data: &args.data.folder,
        judging: Judging {
            now: now(),
            as_of: args.as_of,
            weak,
        },
    })?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(ExitCode::SUCCESS)
}
