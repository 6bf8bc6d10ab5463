//! Another authority's lists against the packs that repeat them: the very lists, and nothing may differ from them.

use std::collections::HashMap;
use std::fs::File;

use wire::cert_id::IssuerId;
use wire::crl::Crl;
use wire::serial::{Serial, SerialHashKey};
use wire::status::CertStatus;
use wire::time::UnixSeconds;

use super::answers::{Answers, same, status_text};
use super::{IssuerProof, Proof, Shelf};
use crate::durable::FsDisk;
use crate::error::sentence;
use crate::import::certificate::Certificate;
use crate::import::crl::Judging;
use crate::import::lines::settle_staged;
use crate::import::list::outline_of;
use crate::import::listed::Settled;
use crate::import::together::{Reading, Said};
use crate::import::trust::WeakPolicy;
use crate::import::whose::Parties;
use crate::manifest::{ObjectEntry, Role};
use crate::pack::Pack;
use crate::sort::Sorting;
use crate::staged::{self, OpenList, identity, rfc3339};

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
        let key = *packs[0].hash_key();
        if let Ok(Some(opened)) = staged::open(self.home.data(), &issuer.to_string())
            && !opened.options.form.is_signed()
            && Some(&opened.options.crl_blake3) == packs[0].crl_blake3()
        {
            let mut settled = settle_staged(&opened, self.home.data(), key, self.now)?;
            return unsigned(answers, packs, &mut settled, told, proof);
        }
        let Some(lists) = self.find_lists(issuer, packs[0])? else {
            told.revoked = answers.revoked().len();
            return Ok(());
        };
        told.crl = Some(lists.name.clone());
        match lists.said(self, certificate, key, told) {
            Ok(mut said) => compare(answers, &mut said, told, proof),
            Err(error) => {
                proof.differ(format!("issuer {issuer}, {}: {error}", lists.name));
                Ok(())
            }
        }
    }

    /// The very lists the packs repeat, published or staged.
    fn find_lists(&self, issuer: IssuerId, newest: &Pack) -> Result<Option<Lists>, String> {
        let Some(repeated) = newest.crl_blake3() else {
            return Ok(None);
        };
        if let Some(published) = self.find_published(issuer, repeated)? {
            return Ok(Some(Lists {
                crl_issuer: self.published_crl_issuer(issuer, &published.lists)?,
                as_of: newest.as_of(),
                // Whether weak algorithms are read was decided at import.
                weak: WeakPolicy::Allow,
                ..published
            }));
        }
        match staged::open(self.home.data(), &issuer.to_string()) {
            Ok(Some(staged)) if staged.options.crl_blake3 == *repeated => Ok(Some(Lists {
                name: names(staged.lists.iter().map(|list| list.path.display())),
                lists: staged.lists,
                crl_issuer: staged
                    .crl_issuer
                    .as_deref()
                    .map(Certificate::from_der)
                    .transpose()
                    .map_err(|error| error.to_string())?,
                as_of: staged.options.as_of,
                weak: WeakPolicy::of(staged.options.allow_weak),
            })),
            Ok(_) => Err("what its packs repeat is neither published nor staged here".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn find_published(
        &self,
        issuer: IssuerId,
        repeated: &[u8; 32],
    ) -> Result<Option<Lists>, String> {
        let is_list =
            |entry: &&ObjectEntry| entry.issuer.0 == issuer && matches!(entry.role, Role::Crl(_));
        let mut entries: Vec<_> = self.manifest.objects.iter().filter(is_list).collect();
        let hashes: Vec<_> = entries.iter().map(|entry| *entry.blake3.octets()).collect();
        if ![false, true]
            .iter()
            .any(|&word| identity(&hashes, word) == *repeated)
        {
            entries.retain(|entry| entry.blake3.octets() == repeated);
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let open = |entry: &&ObjectEntry| {
            let path = self.store.object(entry.blake3);
            let file = File::open(&path).map_err(|error| format!("{}: {error}", entry.name))?;
            let blake3 = *entry.blake3.octets();
            Ok::<_, String>(OpenList { path, file, blake3 })
        };
        Ok(Some(Lists {
            name: names(entries.iter().map(|entry| &entry.name)),
            lists: entries.iter().map(open).collect::<Result<_, _>>()?,
            crl_issuer: None,
            as_of: None,
            weak: WeakPolicy::Allow,
        }))
    }

    /// Who signed the indirect ones among published lists: the certificate of that name that was published with them.
    fn published_crl_issuer(
        &self,
        issuer: IssuerId,
        lists: &[OpenList],
    ) -> Result<Option<Certificate>, String> {
        let outlines: Vec<_> = lists
            .iter()
            .filter_map(|list| outline_of(&list.file).ok())
            .collect();
        let signs_one = |certificate: &Certificate| {
            let mut crls = outlines.iter().filter_map(|outline| outline.read().ok());
            crls.any(|crl| certificate.subject_is(crl.issuer).is_same())
        };
        for entry in &self.manifest.objects {
            if entry.issuer.0 != issuer || !matches!(entry.role, Role::Certificate(_)) {
                continue;
            }
            let octets = std::fs::read(self.store.object(entry.blake3))
                .map_err(|error| format!("{}: {error}", entry.name))?;
            // What is none is a bundle.
            let Ok(certificate) = Certificate::from_der(&octets) else {
                continue;
            };
            if certificate.id() != issuer && signs_one(&certificate) {
                return Ok(Some(certificate));
            }
        }
        Ok(None)
    }
}

/// One by its name, several by the first one's.
fn names<T: std::fmt::Display>(mut names: impl ExactSizeIterator<Item = T>) -> String {
    let others = names.len().saturating_sub(1);
    let first = names
        .next()
        .map(|name| name.to_string())
        .unwrap_or_default();
    match others {
        0 => first,
        _ => format!("{first} and {others} more"),
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

/// The lists an issuer's records are held against.
struct Lists {
    name: String,
    lists: Vec<OpenList>,
    crl_issuer: Option<Certificate>,
    as_of: Option<UnixSeconds>,
    weak: WeakPolicy,
}

impl Lists {
    /// What they say. Their own dates decide nothing here: what was published must agree with them also after their
    /// nextUpdate.
    fn said(
        &self,
        shelf: &Shelf<'_>,
        issuer: &Certificate,
        key: SerialHashKey,
        told: &mut IssuerProof,
    ) -> Result<Said, String> {
        let newest = self.lists.iter().filter_map(|list| {
            let outline = outline_of(&list.file).ok()?;
            Some(outline.read().ok()?.this_update)
        });
        told.this_update = newest.max().map(rfc3339);
        let judging = |crl: &Crl<'_>| Judging {
            now: shelf.now,
            as_of: Some(self.as_of.unwrap_or(crl.this_update.min(shelf.now))),
            weak: self.weak,
        };
        let reading = Reading {
            disk: &FsDisk,
            sorting: &Sorting::in_folder(shelf.home.work()),
            key,
            parties: Parties {
                issuer,
                crl_issuer: self.crl_issuer.as_ref(),
            },
        };
        let together = reading.read(&self.lists, &judging);
        Ok(together.map_err(|error| sentence(&error))?.said)
    }
}

/// Both ways: lists → answers, answers → lists. Adopted lists are repeated, and nothing may differ from them.
fn compare(
    answers: Answers<'_>,
    said: &mut Said,
    told: &mut IssuerProof,
    proof: &mut Proof,
) -> Result<(), String> {
    let mut unsaid: HashMap<Serial, CertStatus> = answers
        .revoked()
        .into_iter()
        .map(|(serial, _, status)| (serial, status))
        .collect();
    told.revoked = unsaid.len();
    while let Some(listed) = said.next_listed().map_err(|error| sentence(&error))? {
        told.listed += 1;
        unsaid.remove(&listed.serial);
        match answers.find(&listed.serial) {
            Some((_, status)) if same(status, listed.status) => {}
            found => {
                let found =
                    found.map_or_else(|| "unknown".to_owned(), |(_, status)| status_text(status));
                proof.differ(format!(
                    "issuer {}, serial {}: the list says {}, the answer is {found}",
                    told.issuer,
                    listed.serial,
                    status_text(listed.status)
                ));
            }
        }
    }
    for (serial, status) in unsaid {
        proof.differ(format!(
            "issuer {}, serial {serial}: the answer is {}, the list does not have it",
            told.issuer,
            status_text(status)
        ));
    }
    Ok(())
}
