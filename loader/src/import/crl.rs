//! Is this CRL that CA's, whole, and fit to be believed at a given moment?
//!
//! `judge` goes through RFC 5280 §6.3.3 as far as it concerns one complete list and a trust anchor named by the operator:
//! name, right to sign CRLs, algorithm, signature, dates, critical extensions, scope, entries. The first rule broken
//! refuses the list whole. What is unusual but allowed is noted in `odd`.
//!
//! Next door: `wire::crl` reads the octets, `check.rs` settles recurring serials, `file.rs` finds, stages and reports.

use wire::algorithm::ForeignAlgorithm;
use wire::crl::{Crl, Outline, Scope};
use wire::serial::SerialHashKey;
use wire::time::UnixSeconds;

use super::certificate::{Authority, Certificate, CrlSigning, NameMatch};
use super::check::{EntryFault, EntryIndex};
use super::list::ListRead;
use super::listed::{SettleError, Settled};
use super::refusal::CrlRefusal;
use super::trust::WeakPolicy;
use super::whose::{Parties, is_indirect};

/// The moment and the leniency a list is judged with.
#[derive(Debug, Clone, Copy)]
pub struct Judging {
    /// The clock; unix seconds.
    pub now: UnixSeconds,
    /// Replaces the clock for this list and its issuer certificate, nowhere else (`--as-of`).
    pub as_of: Option<UnixSeconds>,
    /// Whether SHA-1 and short RSA keys are read.
    pub weak: WeakPolicy,
}

impl Wanted {
    /// The form that a list says it has.
    pub fn of(crl: &Crl<'_>) -> Self {
        match crl.is_delta() {
            true => Self::Delta,
            false => Self::Complete,
        }
    }
}

impl Judging {
    pub(super) fn moment(&self) -> UnixSeconds {
        self.as_of.unwrap_or(self.now)
    }
}

/// A list that passed: only `judge` makes one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Judged<'a> {
    /// The list.
    pub crl: Crl<'a>,
    /// The algorithm its signature was made with.
    pub algorithm: ForeignAlgorithm,
    /// Which entries count.
    pub index: EntryIndex,
    /// What is unusual but allowed, in sentences.
    pub odd: Vec<String>,
}

/// Judges `der` against the certificate of its alleged issuer. Entries are indexed under `key`.
pub fn judge<'a>(
    der: &'a [u8],
    issuer: &Certificate,
    judging: &Judging,
    key: SerialHashKey,
) -> Result<Judged<'a>, CrlRefusal> {
    let crl = Crl::parse(der)?;
    let mut odd = Vec::new();
    check_issuer(&crl, issuer, &mut odd)?;
    let algorithm = super::trust::recognise(crl.algorithm)?;
    issuer
        .key
        .verify(algorithm, judging.weak, crl.tbs, crl.signature)?;
    note_weakness(algorithm, issuer, &mut odd);
    check_dates(&crl, issuer, judging, &mut odd)?;
    check_scope(&crl, Wanted::Complete, &mut odd)?;
    refuse_indirect(&crl)?;
    let index = EntryIndex::build(&crl, key)?;
    note_entries(
        index.removals as u64,
        index.recurrences.len() as u64,
        &mut odd,
    );
    Ok(Judged {
        crl,
        algorithm,
        index,
        odd,
    })
}

/// A list that was read in passing and passed: only [`judge_read`] makes one.
#[non_exhaustive]
pub struct JudgedList {
    /// Everything but its entries.
    pub outline: Outline,
    /// The algorithm its signature was made with.
    pub algorithm: ForeignAlgorithm,
    /// What it says of each serial; contradictions come to light as it is read.
    pub settled: Settled,
    /// Entries as they stand in the list.
    pub entries: u64,
    /// How many of them are about certificates of other issuers.
    pub others: u64,
    /// How many of the rest say removeFromCRL.
    pub removals: u64,
    /// BLAKE3 of the list.
    pub blake3: [u8; 32],
    /// What is unusual but allowed, in sentences.
    pub odd: Vec<String>,
}

/// Judges a complete list that was read in passing, as [`judge`] does one that is held whole.
pub fn judge_read(
    read: ListRead,
    issuer: &Certificate,
    judging: &Judging,
) -> Result<JudgedList, CrlRefusal> {
    judge_read_as(Wanted::Complete, read, &Parties::alone(issuer), judging)
}

/// The same of a list of either form, that may be an indirect one.
pub fn judge_read_as(
    wanted: Wanted,
    read: ListRead,
    parties: &Parties<'_>,
    judging: &Judging,
) -> Result<JudgedList, CrlRefusal> {
    let mut odd = Vec::new();
    let crl = read.outline.read()?;
    let issuer = parties.signer_of(crl.issuer);
    if !parties.is_delegated(&crl) {
        check_issuer(&crl, issuer, &mut odd)?;
    }
    parties.check_delegate(&crl, &mut odd)?;
    let algorithm = super::trust::recognise(crl.algorithm)?;
    issuer
        .key
        .verify_heard(algorithm, judging.weak, &read.signed, crl.signature)?;
    note_weakness(algorithm, issuer, &mut odd);
    check_dates(&crl, issuer, judging, &mut odd)?;
    check_scope(&crl, wanted, &mut odd)?;
    if let Some(fault) = read.fault {
        return Err(fault.into());
    }
    Ok(JudgedList {
        algorithm,
        settled: Settled::new(read.sorted),
        entries: read.entries,
        others: read.others,
        removals: read.removals,
        blake3: read.blake3,
        odd,
        outline: read.outline,
    })
}

impl JudgedList {
    /// Everything but its entries. Its `tbs` is not what was signed.
    pub fn crl(&self) -> Crl<'_> {
        self.outline.read().expect("it was read when it was judged")
    }

    /// Settles all entries, and notes what is odd about them.
    pub fn settle(&mut self) -> Result<(), SettleError> {
        self.settled.run_out()?;
        let removals = match self.crl().is_delta() {
            // That is what they are for.
            true => 0,
            false => self.removals,
        };
        note_entries(removals, self.settled.recurring, &mut self.odd);
        Ok(())
    }
}

/// RFC 5280 §6.3.3: (b)(1) and (f), same name, and a certificate that may sign CRLs.
pub(super) fn check_issuer(
    crl: &Crl<'_>,
    issuer: &Certificate,
    odd: &mut Vec<String>,
) -> Result<(), CrlRefusal> {
    match issuer.subject_is(crl.issuer) {
        NameMatch::Identical => {}
        NameMatch::Equivalent => {
            odd.push("the issuer's name is spelt otherwise than in its certificate".to_owned());
        }
        // Both may look alike when they are printed.
        NameMatch::Unknown => {
            return Err(CrlRefusal::UnclearIssuer {
                certificate: issuer.subject_text.clone(),
                crl: super::certificate::name_text(crl.issuer),
            });
        }
        NameMatch::Different => {
            return Err(CrlRefusal::WrongIssuer {
                certificate: issuer.subject_text.clone(),
                crl: super::certificate::name_text(crl.issuer),
            });
        }
    }
    match issuer.authority {
        Authority::Ca => {}
        Authority::EndEntity => return Err(CrlRefusal::NotACa),
        Authority::Unsaid if issuer.before_version_3 => {
            odd.push(
                "the issuer's certificate is of a version before 3 and cannot say that it is a CA"
                    .to_owned(),
            );
        }
        Authority::Unsaid => {
            odd.push("the issuer's certificate does not say that it is a CA".to_owned());
        }
    }
    match issuer.crl_signing {
        CrlSigning::Named => {}
        CrlSigning::Unrestricted if issuer.before_version_3 => {}
        CrlSigning::Unrestricted => odd.push("the issuer's certificate has no keyUsage".to_owned()),
        CrlSigning::Forbidden => return Err(CrlRefusal::MayNotSignCrls),
    }
    Ok(())
}

fn note_weakness(algorithm: ForeignAlgorithm, issuer: &Certificate, odd: &mut Vec<String>) {
    if issuer.key.is_weak_with(algorithm) {
        odd.push(format!(
            "weak: {} with a {} key, read because --allow-weak says so",
            algorithm.name(),
            issuer.key.kind()
        ));
    }
}

pub(super) fn check_dates(
    crl: &Crl<'_>,
    issuer: &Certificate,
    judging: &Judging,
    odd: &mut Vec<String>,
) -> Result<(), CrlRefusal> {
    let moment = judging.moment();
    // A judging moment far ahead of the clock would take lists that do not exist yet for stale ones.
    if let Some(as_of) = judging
        .as_of
        .filter(|&as_of| as_of > judging.now + CLOCK_LEEWAY)
    {
        return Err(CrlRefusal::AsOfAhead {
            as_of,
            now: judging.now,
        });
    }
    if crl.this_update > moment + CLOCK_LEEWAY {
        return Err(CrlRefusal::NotYet {
            this_update: crl.this_update,
            moment,
        });
    }
    match crl.next_update {
        Some(next_update) if next_update < moment => {
            return Err(CrlRefusal::Stale {
                next_update,
                moment,
                this_update: crl.this_update,
            });
        }
        Some(_) => {}
        None => odd.push(
            "it has no nextUpdate (RFC 5280 §5.1.2.5 wants one): it never says when it is stale"
                .to_owned(),
        ),
    }
    // A CA renews its certificate under the same name and key, and a later one is not always at hand. Replaying history,
    // the key that signed counts more than the date its certificate bore; today it is the operator who must know better.
    let expired = moment > issuer.not_after;
    if expired && judging.as_of.is_some() {
        odd.push(format!(
            "the issuer's certificate had expired by then, on {}",
            crate::staged::rfc3339(issuer.not_after)
        ));
    } else if !issuer.is_valid_at(moment) {
        return Err(CrlRefusal::IssuerNotValid {
            not_before: issuer.not_before,
            not_after: issuer.not_after,
            moment,
        });
    }
    if crl.this_update < issuer.not_before {
        odd.push("thisUpdate lies before the issuer certificate's validity".to_owned());
    }
    if judging.as_of.is_some() {
        odd.push(format!(
            "judged as of {}: answers from it are replayed, and marked so",
            crate::staged::rfc3339(moment)
        ));
    }
    Ok(())
}

/// Which form of list is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// One that says everything in its scope.
    Complete,
    /// One that says what changed since another.
    Delta,
}

/// Where a list is held against one issuer's own records.
pub(super) fn refuse_indirect(crl: &Crl<'_>) -> Result<(), CrlRefusal> {
    match is_indirect(crl) {
        true => Err(CrlRefusal::Indirect),
        false => Ok(()),
    }
}

/// Lists of the wanted form only; what a list leaves out by its scope is noted (RFC 5280 §5.2.4, §5.2.5).
pub(super) fn check_scope(
    crl: &Crl<'_>,
    wanted: Wanted,
    odd: &mut Vec<String>,
) -> Result<(), CrlRefusal> {
    let extensions = &crl.extensions;
    if let Some(oid) = extensions.unknown_critical {
        return Err(CrlRefusal::UnknownCritical {
            oid: super::trust::oid_text(oid),
        });
    }
    match (wanted, crl.is_delta()) {
        (Wanted::Complete, true) => return Err(CrlRefusal::Delta),
        (Wanted::Delta, false) => return Err(CrlRefusal::NoDelta),
        _ => {}
    }
    if extensions.number.is_none() {
        odd.push("it has no CRL number (RFC 5280 §5.2.3 wants one)".to_owned());
    }
    let Some(point) = &extensions.distribution_point else {
        return Ok(());
    };
    if point.scope == Scope::AttributeCertificates {
        return Err(CrlRefusal::AttributeCertificates);
    }
    for (restricts, what) in [
        (
            point.scope == Scope::UserCertificates,
            "only certificates of users",
        ),
        (
            point.scope == Scope::CaCertificates,
            "only certificates of CAs",
        ),
        (point.only_some_reasons.is_some(), "only some reasons"),
        (point.name.is_some(), "one distribution point"),
    ] {
        if restricts {
            odd.push(format!(
                "its issuingDistributionPoint restricts it to {what}: not on the list is not good"
            ));
        }
    }
    Ok(())
}

fn note_entries(removals: u64, recurring: u64, odd: &mut Vec<String>) {
    if removals > 0 {
        odd.push(format!(
            "{removals} entries say removeFromCRL, which belongs in delta lists: they clear"
        ));
    }
    if recurring > 0 {
        odd.push(format!(
            "{recurring} serials stand there more than once: the latest date counts"
        ));
    }
}

impl From<EntryFault> for CrlRefusal {
    fn from(fault: EntryFault) -> Self {
        Self::Entry(fault)
    }
}

/// How far a thisUpdate may lie ahead of the clock; seconds.
pub const CLOCK_LEEWAY: u64 = 300;
