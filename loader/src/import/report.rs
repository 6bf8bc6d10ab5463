//! What an import tells, for people and for machines.

use std::path::PathBuf;

use serde::Serialize;

use wire::crl::Crl;

use super::certificate::Certificate;
use super::file::CrlImport;
use super::set::Set;
use crate::digest::encode_hex;
use crate::staged::{Options, rfc3339};

/// What was found and done, for people and for machines.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The CRL file.
    pub file: PathBuf,
    /// Subject of the issuer certificate.
    pub issuer: String,
    /// The issuer id: name of its folders.
    pub issuer_id: String,
    /// SHA-256 of the issuer certificate.
    pub fingerprint_sha256: String,
    /// Type and size of its key.
    pub key: String,
    /// What the list is signed with.
    pub algorithm: String,
    /// CRL number, hexadecimal.
    pub number: Option<String>,
    /// RFC 3339.
    pub this_update: String,
    /// RFC 3339.
    pub next_update: Option<String>,
    /// The moment that replaced the clock.
    pub as_of: Option<String>,
    /// Subject of the certificate that was named for who signs indirect lists.
    pub crl_issuer: Option<String>,
    /// SHA-256 of that certificate.
    pub crl_issuer_sha256: Option<String>,
    /// Entries as they stand in what came.
    pub entries: u64,
    /// How many of them are about certificates of other issuers, and left out.
    pub others: u64,
    /// Serials revoked in the end, by all lists together.
    pub revoked: u64,
    /// Serials that stood there more than once.
    pub recurring_count: u64,
    /// The first of them.
    pub recurring: Vec<RecurringSerial>,
    /// What is unusual but allowed.
    pub odd: Vec<String>,
    /// All lists that stand together, if there are several: first those that came.
    pub lists: Vec<ListTold>,
    /// The operator's word that these partitions are all there are.
    pub complete: bool,
    /// BLAKE3 of the list; of several, what they are known by.
    pub crl_blake3: String,
    /// Where it was staged.
    pub staged: PathBuf,
}

/// One of several lists.
#[derive(Debug, Clone, Serialize)]
pub struct ListTold {
    /// Its file in the staged folder.
    pub name: String,
    /// complete or delta.
    pub form: &'static str,
    /// The address of its distribution point, if it is one partition of several.
    pub point: Option<String>,
    /// Whether it was staged before.
    pub kept: bool,
    /// CRL number, hexadecimal.
    pub number: Option<String>,
    /// RFC 3339.
    pub this_update: String,
    /// RFC 3339.
    pub next_update: Option<String>,
    /// BLAKE3.
    pub blake3: String,
}

impl ListTold {
    fn of(name: &str, crl: &Crl<'_>, blake3: &[u8; 32], kept: bool) -> Self {
        Self {
            name: name.to_owned(),
            form: match crl.is_delta() {
                true => "delta",
                false => "complete",
            },
            point: super::floor::point_of(crl),
            kept,
            number: crl.extensions.number.map(encode_hex),
            this_update: rfc3339(crl.this_update),
            next_update: crl.next_update.map(rfc3339),
            blake3: encode_hex(blake3),
        }
    }

    fn line(&self) -> String {
        format!(
            "{}, {}{}, {} to {}, BLAKE3 {}…{}",
            self.name,
            self.form,
            if self.kept { ", staged before" } else { "" },
            self.this_update,
            self.next_update.as_deref().unwrap_or("no end"),
            &self.blake3[..super::floor::LEAST_DIGITS],
            self.point
                .as_ref()
                .map(|at| format!(", {at}"))
                .unwrap_or_default()
        )
    }
}

/// A serial that stood in the list more than once.
#[derive(Debug, Clone, Serialize)]
pub struct RecurringSerial {
    /// Hexadecimal.
    pub serial: String,
    /// How many entries.
    pub entries: usize,
    /// What counts in the end.
    pub outcome: String,
}

pub(super) fn report(
    request: &CrlImport<'_>,
    issuer: &Certificate,
    set: &Set,
    options: &Options,
    folder: PathBuf,
) -> Report {
    let first = set.came.first().expect("an import brings a list");
    let crl = first.crl();
    let recurrences = set.came.iter().flat_map(|came| &came.recurrences);
    let odd = set.came.iter().flat_map(|came| &came.odd);
    Report {
        file: request.crl.to_owned(),
        issuer: issuer.subject_text.clone(),
        issuer_id: issuer.id().to_string(),
        fingerprint_sha256: issuer.fingerprint(),
        key: issuer.key.kind().to_string(),
        algorithm: first.algorithm.name().to_owned(),
        number: crl.extensions.number.map(encode_hex),
        this_update: rfc3339(crl.this_update),
        next_update: crl.next_update.map(rfc3339),
        as_of: options.as_of.map(rfc3339),
        crl_issuer: set.crl_issuer.as_ref().map(|it| it.subject_text.clone()),
        crl_issuer_sha256: set.crl_issuer.as_ref().map(Certificate::fingerprint),
        entries: set.came.iter().map(|came| came.entries).sum(),
        others: set.came.iter().map(|came| came.others).sum(),
        revoked: set.revoked,
        recurring_count: set.came.iter().map(|came| came.recurring).sum(),
        recurring: recurrences.map(RecurringSerial::from).collect(),
        odd: odd.chain(&set.odd).cloned().collect(),
        lists: lists(set),
        complete: set.complete,
        crl_blake3: encode_hex(&options.crl_blake3),
        staged: folder,
    }
}

fn lists(set: &Set) -> Vec<ListTold> {
    if set.came.len() + set.kept.len() == 1 {
        return Vec::new();
    }
    let came = set.came.iter();
    let came = came.map(|it| ListTold::of(&it.name, &it.crl(), &it.blake3, false));
    let kept = set.kept.iter();
    let kept = kept.map(|it| ListTold::of(&it.name, &it.crl(), &it.blake3, true));
    came.chain(kept).collect()
}

impl From<&super::check::Recurrence> for RecurringSerial {
    fn from(recurrence: &super::check::Recurrence) -> Self {
        let outcome = match recurrence.outcome {
            None => "cleared by removeFromCRL".to_owned(),
            Some((at, reason)) => {
                let reason = reason.map_or("no reason", wire::status::RevocationReason::name);
                format!("revoked {} ({reason})", rfc3339(at))
            }
        };
        Self {
            serial: recurrence.serial.to_string(),
            entries: recurrence.entries,
            outcome,
        }
    }
}

impl Report {
    /// The report as a table for people.
    pub fn table(&self) -> String {
        let mut rows: Vec<(&str, String)> = vec![
            ("file", self.file.display().to_string()),
            ("issuer", self.issuer.clone()),
            ("issuer id", self.issuer_id.clone()),
            ("SHA-256", self.fingerprint_sha256.clone()),
            ("key", self.key.clone()),
            ("signed with", self.algorithm.clone()),
            (
                "CRL number",
                self.number.clone().unwrap_or_else(|| "none".to_owned()),
            ),
            ("thisUpdate", self.this_update.clone()),
            (
                "nextUpdate",
                self.next_update
                    .clone()
                    .unwrap_or_else(|| "none".to_owned()),
            ),
            ("entries", self.entries.to_string()),
            ("revoked", self.revoked.to_string()),
            ("BLAKE3", self.crl_blake3.clone()),
            ("staged in", self.staged.display().to_string()),
        ];
        if let (Some(name), Some(sha256)) = (&self.crl_issuer, &self.crl_issuer_sha256) {
            rows.push(("CRL issuer", format!("{name}, SHA-256 {sha256}")));
        }
        if self.others > 0 || self.crl_issuer.is_some() {
            let word = "entries are about certificates of other issuers and left out";
            rows.push(("others", format!("{} {word}", self.others)));
        }
        rows.extend(self.lists.iter().map(|list| ("list", list.line())));
        if self.complete {
            let word = "these partitions are all: who is on none of them is not revoked";
            rows.push(("complete", word.to_owned()));
        }
        rows.extend(self.odd.iter().map(|odd| ("note", odd.clone())));
        rows.extend(
            self.recurring
                .iter()
                .take(MOST_RECURRING_SHOWN)
                .map(|recurring| {
                    (
                        "recurring",
                        format!(
                            "{} ×{}: {}",
                            recurring.serial, recurring.entries, recurring.outcome
                        ),
                    )
                }),
        );
        let shown = self.recurring.len().min(MOST_RECURRING_SHOWN) as u64;
        if self.recurring_count > shown {
            let more = self.recurring_count - shown;
            rows.push(("recurring", format!("… {more} more, see --json")));
        }
        rows.iter()
            .map(|(name, value)| format!("{name:<12} {value}\n"))
            .collect()
    }
}

/// Recurring serials in the table.
const MOST_RECURRING_SHOWN: usize = 20;
