//! Another authority's list against the packs that repeat it: the very list, and nothing may differ from it.

use wire::cert_id::IssuerId;
use wire::crl::Crl;
use wire::serial::SerialHashKey;
use wire::status::CertStatus;
use wire::time::UnixSeconds;

use super::answers::{Answers, same, status_text};
use super::{IssuerProof, Proof, Shelf};
use crate::error::sentence;
use crate::import::certificate::{Certificate, NameMatch};
use crate::import::crl::{Judged, Judging, judge};
use crate::import::lines::settle_staged;
use crate::import::listed::Settled;
use crate::import::trust::WeakPolicy;
use crate::manifest::{ObjectEntry, Role};
use crate::pack::Pack;
use crate::staged::{self, rfc3339};

impl Shelf<'_> {
    pub(super) fn prove_adopted(
        &self,
        issuer: IssuerId,
        packs: &[&Pack],
        certificate: &Certificate,
        told: &mut IssuerProof,
        proof: &mut Proof,
    ) -> Result<(), String> {
        let answers = Answers::of(packs);
        if let Ok(Some(opened)) = staged::open(self.home.data(), &issuer.to_string())
            && !opened.options.form.is_signed()
            && Some(&opened.options.crl_blake3) == packs[0].crl_blake3()
        {
            let key = *packs[0].hash_key();
            let mut settled = settle_staged(&opened, self.home.data(), key, self.now)?;
            return unsigned(answers, packs, &mut settled, told, proof);
        }
        let Some(list) = self.find_list(issuer, packs[0], certificate)? else {
            told.revoked = answers.revoked().len();
            return Ok(());
        };
        told.crl = Some(list.name.clone());
        match list.judge(certificate, *packs[0].hash_key(), self.now) {
            Ok(judged) => compare(answers, &judged, told, proof),
            Err(error) => proof.differ(format!("issuer {issuer}, {}: {error}", list.name)),
        }
        Ok(())
    }

    /// The very list the packs repeat, published or staged.
    fn find_list(
        &self,
        issuer: IssuerId,
        newest: &Pack,
        certificate: &Certificate,
    ) -> Result<Option<List>, String> {
        let repeated = newest.crl_blake3();
        for entry in self
            .manifest
            .objects
            .iter()
            .filter(|entry| entry.issuer.0 == issuer)
        {
            let other = repeated.is_some_and(|blake3| blake3 != entry.blake3.octets());
            if other || !matches!(entry.role, Role::Crl(_)) {
                continue;
            }
            let octets = std::fs::read(self.store.object(entry.blake3))
                .map_err(|error| format!("{}: {error}", entry.name))?;
            if is_complete_and_of(&octets, certificate) {
                return Ok(Some(published(entry, octets, newest)));
            }
        }
        let Some(repeated) = repeated else {
            return Ok(None);
        };
        match staged::read(self.home.data(), &issuer.to_string()) {
            Ok(Some(staged)) if staged.options.crl_blake3 == *repeated => Ok(Some(List {
                name: staged.folder.join("crl.der").display().to_string(),
                octets: staged.crl,
                as_of: staged.options.as_of,
                weak: WeakPolicy::of(staged.options.allow_weak),
            })),
            Ok(_) => {
                Err("the CRL its packs repeat is neither published nor staged here".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A list without a signature says good and revoked: each serial is answered so, and no other is answered.
fn unsigned(
    answers: Answers<'_>,
    packs: &[&Pack],
    settled: &mut Settled,
    told: &mut IssuerProof,
    proof: &mut Proof,
) -> Result<(), String> {
    let mut listed = 0_u64;
    while let Some(entry) = settled.next_listed().map_err(|error| sentence(&error))? {
        listed += 1;
        told.listed += usize::from(matches!(entry.status, CertStatus::Revoked { .. }));
        let answer = answers.find(&entry.serial).map(|(_, status)| status);
        if !answer.is_some_and(|status| same(status, entry.status)) {
            proof.differ(format!(
                "issuer {}, serial {}: the staged list says {}, the answer is {}",
                told.issuer,
                entry.serial,
                status_text(entry.status),
                answer.map_or_else(|| "unknown".to_owned(), status_text)
            ));
        }
    }
    told.revoked = answers.revoked().len();
    let records: u64 = packs.iter().map(|pack| pack.record_count()).sum();
    if records != listed {
        proof.differ(format!(
            "issuer {}: {records} serials are answered, the staged list has {listed}",
            told.issuer
        ));
    }
    Ok(())
}

/// The list an issuer's records are held against.
struct List {
    name: String,
    octets: Vec<u8>,
    as_of: Option<UnixSeconds>,
    weak: WeakPolicy,
}

impl List {
    /// Its own dates decide nothing here: what was published must agree with it also after its nextUpdate.
    fn judge(
        &self,
        issuer: &Certificate,
        key: SerialHashKey,
        now: UnixSeconds,
    ) -> Result<Judged<'_>, String> {
        let this_update = Crl::parse(&self.octets)
            .map_err(|error| error.to_string())?
            .this_update;
        let judging = Judging {
            now,
            as_of: Some(self.as_of.unwrap_or(this_update.min(now))),
            weak: self.weak,
        };
        judge(&self.octets, issuer, &judging, key).map_err(|error| error.to_string())
    }
}

fn published(entry: &ObjectEntry, octets: Vec<u8>, newest: &Pack) -> List {
    // Whether weak algorithms are read was decided at import; a list of ours never has them.
    let weak = if newest.crl_blake3().is_some() {
        WeakPolicy::Allow
    } else {
        WeakPolicy::Refuse
    };
    List {
        name: entry.name.clone(),
        octets,
        as_of: newest.as_of(),
        weak,
    }
}

/// An issuer's documents hold the lists of those above it, too.
fn is_complete_and_of(octets: &[u8], issuer: &Certificate) -> bool {
    Crl::parse(octets)
        .is_ok_and(|crl| !crl.is_delta() && issuer.subject_is(crl.issuer) != NameMatch::Different)
}

/// Both ways: list → answers, answers → list. An adopted list is repeated, and nothing may differ from it.
fn compare(answers: Answers<'_>, judged: &Judged<'_>, told: &mut IssuerProof, proof: &mut Proof) {
    told.this_update = Some(rfc3339(judged.crl.this_update));
    told.listed = judged.index.revoked();
    let mut place = 0;
    while let Some((_, serial, listed)) = judged.index.get(&judged.crl, place) {
        place += 1;
        match answers.find(&serial) {
            Some((_, status)) if same(status, listed) => {}
            found => {
                let found =
                    found.map_or_else(|| "unknown".to_owned(), |(_, status)| status_text(status));
                proof.differ(format!(
                    "issuer {}, serial {serial}: the list says {}, the answer is {found}",
                    told.issuer,
                    status_text(listed)
                ));
            }
        }
    }
    let revoked = answers.revoked();
    told.revoked = revoked.len();
    for (serial, _, status) in revoked {
        if judged.index.find(&judged.crl, &serial).is_none() {
            proof.differ(format!(
                "issuer {}, serial {serial}: the answer is {}, the list does not have it",
                told.issuer,
                status_text(status)
            ));
        }
    }
}
