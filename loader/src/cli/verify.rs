//! `verify`: read everything again, prove that CRLs and records agree.

use std::process::ExitCode;

use super::{Outcome, REFUSED, VerifyArgs, now};
use crate::verify::holders::Holder;
use crate::verify::{Proof, verify_with};

pub(super) fn run(args: &VerifyArgs) -> Outcome {
    let certificates = args.certificates.iter();
    let holders: Vec<Holder> = certificates
        .map(|path| Holder::read(path))
        .collect::<Result<_, _>>()?;
    let proof = verify_with(&args.data.folder, now(), &holders)?;
    if args.json {
        println!("{}", serde_json::to_string(&proof)?);
    } else {
        print!("{}", text(&proof));
    }
    Ok(if proof.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(REFUSED)
    })
}

fn text(proof: &Proof) -> String {
    let mut lines = format!(
        "generation {}: {} files, {} records read\n",
        proof.generation, proof.files, proof.records
    );
    for issuer in &proof.issuers {
        let against = match (&issuer.crl, &issuer.this_update) {
            (Some(crl), Some(this_update)) => format!(
                "{} listed in {crl} of {this_update}, {} answered revoked, {} differences explained by later changes",
                issuer.listed, issuer.revoked, issuer.explained
            ),
            (Some(crl), None) => format!("{crl} could not be judged"),
            (None, _) => format!(
                "{} answered revoked, no CRL here to hold against",
                issuer.revoked
            ),
        };
        lines.push_str(&format!(
            "{}  {}\n  {against}\n",
            issuer.issuer, issuer.name
        ));
        for holder in &issuer.holders {
            let list = holder.list.as_deref().unwrap_or("no list that is here");
            lines.push_str(&format!(
                "  serial {} names {list}, answered {}\n",
                holder.serial, holder.status
            ));
        }
    }
    for difference in &proof.differences {
        lines.push_str(&format!("DIFFERS {difference}\n"));
    }
    if proof.difference_count > proof.differences.len() {
        lines.push_str(&format!(
            "… and {} more\n",
            proof.difference_count - proof.differences.len()
        ));
    }
    lines.push_str(if proof.holds() {
        "everything agrees\n"
    } else {
        "NOT everything agrees\n"
    });
    lines
}
