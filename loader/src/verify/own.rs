//! Lists of our own registry against the packs: whatever lists there are (of all, of partitions, deltas), each says at its
//! revision what the packs answer, and each later difference has a later revision.

use wire::cert_id::IssuerId;
use wire::crl::Crl;
use wire::serial::SerialHashKey;
use wire::time::UnixSeconds;

use super::answers::{Answers, may_follow, same, status_text};
use super::holders::Holder;
use super::view::{Published, Scopes, View};
use super::{IssuerProof, ListProof, Proof};
use crate::expired;
use crate::home::Home;
use crate::import::certificate::Certificate;
use crate::manifest::{Manifest, Role};
use crate::staged::rfc3339;
use crate::store::Store;

/// One issuer: what its lists are held against.
pub(super) struct Case<'a> {
    pub home: &'a Home,
    pub certificate: &'a Certificate,
    pub key: SerialHashKey,
    pub answers: Answers<'a>,
    pub holders: &'a [Holder],
    pub now: UnixSeconds,
}

/// The published lists that an issuer signed; its documents hold the lists of those above it, too.
pub(super) fn lists(
    store: &Store,
    manifest: &Manifest,
    issuer: IssuerId,
    certificate: &Certificate,
) -> Result<Vec<Published>, String> {
    let mut lists = Vec::new();
    for entry in &manifest.objects {
        let Role::Crl(note) = &entry.role else {
            continue;
        };
        if entry.issuer.0 != issuer {
            continue;
        }
        let octets = std::fs::read(store.object(entry.blake3))
            .map_err(|error| format!("{}: {error}", entry.name))?;
        let is_own =
            Crl::parse(&octets).is_ok_and(|crl| certificate.subject_is(crl.issuer).is_same());
        if is_own {
            lists.push(Published {
                name: entry.name.clone(),
                octets,
                mark: note.list.as_deref().cloned(),
            });
        }
    }
    Ok(lists)
}

/// Proves one issuer; `lists` are its own.
pub(super) fn prove(
    case: &Case<'_>,
    lists: &[Published],
    told: &mut IssuerProof,
    proof: &mut Proof,
) {
    let answers = case.answers;
    let mut views = Vec::new();
    let scopes = Scopes::of(lists);
    for delta in &scopes.lone {
        proof.differ(format!(
            "issuer {}: {} changes a list that is not there",
            told.issuer, delta.name
        ));
    }
    for (full, delta) in scopes.together {
        let view = View::judged(full, delta, case.certificate, case.key, case.now);
        match view {
            Ok(mut view) => {
                let mark = full.mark.as_ref().and_then(|mark| mark.expired.as_ref());
                match expired::read(case.home, mark) {
                    Ok(expired) => view.expired = expired,
                    Err(error) => proof.differ(format!("{}: {error}", full.name)),
                }
                views.push(view);
            }
            Err(why) => proof.differ(format!("issuer {}, {}: {why}", told.issuer, full.name)),
        }
    }
    for view in &views {
        told.lists.push(list_proof(view));
        lists_to_answers(view, answers, told, proof);
    }
    let own = case.holders.iter();
    for holder in own.filter(|holder| holder.is_of(case.certificate)) {
        holder.prove(&views, answers, told, proof);
    }
    let whole = views
        .iter()
        .find(|view| view.full.extensions.distribution_point.is_none());
    let parts: Vec<&View<'_>> = views
        .iter()
        .filter(|view| view.full.extensions.distribution_point.is_some())
        .collect();
    if let Some(first) = whole.or(parts.first().copied()) {
        told.crl = Some(first.name.to_owned());
        told.this_update = Some(rfc3339(first.this_update));
        told.listed = match whole {
            Some(whole) => whole.count(),
            None => parts.iter().map(|part| part.count()).sum(),
        };
    }
    answers_to_lists(whole, &parts, answers, told, proof);
}

fn list_proof(view: &View<'_>) -> ListProof {
    ListProof {
        name: view.name.to_owned(),
        delta: view.delta.as_ref().map(|(name, _)| (*name).to_owned()),
        revision: view.revision,
        this_update: rfc3339(view.this_update),
        listed: view.count(),
    }
}

/// Whatever a list revokes is answered so.
fn lists_to_answers(
    view: &View<'_>,
    answers: Answers<'_>,
    told: &mut IssuerProof,
    proof: &mut Proof,
) {
    for (serial, listed) in view.entries() {
        match answers.find(&serial) {
            Some((_, status)) if same(status, listed) => {}
            Some((pack, status)) if may_follow(listed, status) && view.is_before(pack) => {
                told.explained += 1;
            }
            found => {
                let found =
                    found.map_or_else(|| "unknown".to_owned(), |(_, status)| status_text(status));
                proof.differ(format!(
                    "issuer {}, serial {serial}: {} says {}, the answer is {found}",
                    told.issuer,
                    view.name,
                    status_text(listed)
                ));
            }
        }
    }
}

/// Whatever is answered `revoked` is on the list of all, and on no more than one partition's.
fn answers_to_lists(
    whole: Option<&View<'_>>,
    parts: &[&View<'_>],
    answers: Answers<'_>,
    told: &mut IssuerProof,
    proof: &mut Proof,
) {
    let revoked = answers.revoked();
    told.revoked = revoked.len();
    for (serial, pack, status) in revoked {
        let on: Vec<&str> = parts
            .iter()
            .filter(|part| part.says(&serial).is_some())
            .map(|part| part.name)
            .collect();
        if let [one, other, ..] = on.as_slice() {
            proof.differ(format!(
                "issuer {}, serial {serial}: it stands on {one} and on {other}",
                told.issuer
            ));
        }
        let missing = match whole {
            Some(whole) => whole.says(&serial).is_none().then_some(whole.name),
            None => on.is_empty().then_some("any partition's list"),
        };
        let Some(missing) = missing else {
            // Certificates of before there were partitions name the list of all.
            told.on_no_partition += usize::from(on.is_empty() && !parts.is_empty());
            continue;
        };
        let asked: Vec<&View<'_>> = match whole {
            Some(whole) => vec![whole],
            // Which partition's it would be is not known here: all of them must be older.
            None => parts.to_vec(),
        };
        if asked.iter().any(|view| view.expired.contains(&serial)) {
            told.expired += 1;
        } else if asked
            .iter()
            .all(|view| view.explains_addition(pack, status))
        {
            told.explained += 1;
        } else {
            proof.differ(format!(
                "issuer {}, serial {serial}: the answer is {}, {missing} does not have it",
                told.issuer,
                status_text(status)
            ));
        }
    }
}
