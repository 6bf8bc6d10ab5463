//! What is staged already of an issuer: the floor for what comes, and what stays beside it.
//!
//! A list never goes backwards, by thisUpdate or by CRL number, against the staged one of its scope and form. What comes
//! replaces that one. Of what it does not replace stays: the complete list that a delta changes; a delta that says more
//! than the complete list that comes; and, if the operator says that partitions are imported one by one, those of other
//! scopes, but for those that the operator retires.

use std::path::PathBuf;

use wire::crl::{Crl, Outline};
use wire::time::UnixSeconds;

use super::certificate::Certificate;
use super::delta::{fits, is_in_turn};
use super::file::{Company, Keeping, unsigned};
use super::list::{ListError, outline_of};
use super::refusal::CrlRefusal;
use super::together::scope_of;
use super::whose::Parties;
use crate::digest::encode_hex;
use crate::staged::{OpenList, Opened, StagedError};

/// The lists of a staged folder, outlines read.
pub struct Floor {
    folder: PathBuf,
    lists: Vec<(OpenList, Outline)>,
    complete: bool,
    crl_issuer: Option<Certificate>,
}

/// A list that comes.
pub struct Comer<'a> {
    /// Everything but its entries.
    pub crl: Crl<'a>,
    /// Its BLAKE3.
    pub blake3: [u8; 32],
}

/// What becomes of the staged lists.
#[derive(Default)]
pub struct Stays {
    /// Files that stay, and their lists.
    pub lists: Vec<(OpenList, Outline)>,
    /// Whether the operator's word that the partitions are all there are still holds.
    pub complete: bool,
    /// Who was named to sign the indirect lists among them.
    pub crl_issuer: Option<Certificate>,
    /// What is unusual, in sentences.
    pub odd: Vec<String>,
}

/// Why what is staged is no floor.
#[derive(Debug)]
pub enum Unusable {
    /// It is not what was staged.
    Damaged(String),
    /// It may be, but cannot be read now.
    Unreadable(StagedError),
}

impl From<StagedError> for Unusable {
    fn from(error: StagedError) -> Self {
        match error.is_damage() {
            true => Self::Damaged(error.to_string()),
            false => Self::Unreadable(error),
        }
    }
}

impl Floor {
    /// Reads what is staged; every list must be as it was imported.
    pub fn of(opened: Opened) -> Result<Self, Unusable> {
        let mut lists = Vec::with_capacity(opened.lists.len());
        for list in opened.lists {
            let hash = list.hash()?;
            list.expect_unchanged(&hash)?;
            let outline = outline_of(&list.file).map_err(|error| match error {
                ListError::Io(source) => list.unreadable(source).into(),
                other => Unusable::Damaged(other.to_string()),
            })?;
            lists.push((list, outline));
        }
        let crl_issuer = opened.crl_issuer.as_deref().map(Certificate::from_der);
        let crl_issuer = crl_issuer.transpose();
        Ok(Self {
            crl_issuer: crl_issuer.map_err(|error| Unusable::Damaged(error.to_string()))?,
            folder: opened.folder,
            lists,
            complete: opened.options.complete,
        })
    }

    /// Judges comers, which all passed for themselves as lists of these parties, against what is staged. A refusal names its
    /// comer's place.
    pub fn judge(
        self,
        comers: &[Comer<'_>],
        company: &Company<'_>,
        parties: &Parties<'_>,
    ) -> Result<Stays, (usize, CrlRefusal)> {
        let then = Parties {
            crl_issuer: self.crl_issuer.as_ref(),
            ..*parties
        };
        let beside = Parties {
            crl_issuer: parties.crl_issuer.or(then.crl_issuer),
            ..*parties
        };
        let retired = self.retired(comers, company.retired)?;
        let mut stays = Stays {
            complete: self.complete,
            crl_issuer: self.crl_issuer.clone(),
            ..Stays::default()
        };
        for (place, comer) in comers.iter().enumerate() {
            let peers = self.lists.iter().filter_map(|(list, outline)| {
                let crl = outline.read().ok()?;
                is_alike(&crl, &comer.crl).then_some((list, crl))
            });
            for (list, old) in peers {
                let is_rekeyed = is_of_another_key(&old, &then, parties);
                never_back(&comer.crl, &old, is_rekeyed).map_err(|refusal| (place, refusal))?;
                if is_rekeyed && std::mem::take(&mut stays.complete) {
                    stays.odd.push(
                        "it is signed by another key than the staged list: the word that these lists are all is no longer believed, it must be given anew"
                            .to_owned(),
                    );
                }
                if comer.crl.this_update == old.this_update && comer.blake3 != list.blake3 {
                    stays.odd.push(
                        "the staged list bears the same thisUpdate and is another; the new one replaces it"
                            .to_owned(),
                    );
                }
            }
        }
        let mut known_scopes = Vec::new();
        for (list, outline) in self.lists {
            // Read once already.
            let Ok(old) = outline.read() else { continue };
            let scope = scope_of(&old);
            if retired.contains(&scope) {
                let name = point_of(&old).unwrap_or_else(|| encode_hex(&list.blake3));
                stays.odd.push(format!(
                    "{name} is retired: what only it said is no longer answered"
                ));
                // Whoever counted the partitions counted this one.
                stays.complete = false;
                continue;
            }
            known_scopes.push(scope);
            if is_of_another_key(&old, &then, parties) && is_behind_a_complete_list(&old, comers) {
                stays.odd.push(
                    "the staged delta is signed by another key than the list that comes and is no newer, and goes"
                        .to_owned(),
                );
                continue;
            }
            let keeping = company.keeping;
            let stay = decide(&old, comers, keeping, &self.folder, &mut stays.odd)?;
            if stay {
                // One certificate is kept for all that stand together.
                if is_of_another_key(&old, &then, &beside) {
                    let signer = then.signer_of(old.issuer);
                    let list = point_of(&old).unwrap_or_else(|| encode_hex(&list.blake3));
                    return Err((
                        0,
                        CrlRefusal::OtherSigner {
                            list,
                            signer: signer.subject_text.clone(),
                            fingerprint: signer.fingerprint(),
                        },
                    ));
                }
                stays.lists.push((list, outline));
            }
        }
        // A partition that nobody had counted.
        let is_known = |comer: &Comer<'_>| known_scopes.contains(&scope_of(&comer.crl));
        stays.complete &= comers.iter().all(is_known);
        Ok(stays)
    }
}

impl Floor {
    /// The scopes that the operator retires, by whichever of its lists each is named.
    fn retired(
        &self,
        comers: &[Comer<'_>],
        wanted: &[String],
    ) -> Result<Vec<Vec<u8>>, (usize, CrlRefusal)> {
        let mut scopes = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let named = self.lists.iter().filter_map(|(list, outline)| {
                let crl = outline.read().ok()?;
                let is_meant = point_of(&crl).as_ref() == Some(wanted)
                    || wanted.len() >= LEAST_DIGITS
                        && encode_hex(&list.blake3).starts_with(&wanted.to_lowercase());
                is_meant.then(|| scope_of(&crl))
            });
            let mut named: Vec<Vec<u8>> = named.collect();
            named.sort();
            named.dedup();
            let wanted = wanted.clone();
            let scope = match named.len() {
                0 => return Err((0, CrlRefusal::NotThere { wanted })),
                1 => named.swap_remove(0),
                _ => return Err((0, CrlRefusal::Ambiguous { wanted })),
            };
            let comes = |comer: &Comer<'_>| scope_of(&comer.crl) == scope;
            if let Some(place) = comers.iter().position(comes) {
                return Err((place, CrlRefusal::Retired));
            }
            scopes.push(scope);
        }
        Ok(scopes)
    }
}

/// The address of a list's distribution point.
pub(super) fn point_of(crl: &Crl<'_>) -> Option<String> {
    let point = crl.extensions.distribution_point?;
    point.uri().map(str::to_owned)
}

/// Same scope, same form: the one replaces the other.
fn is_alike(one: &Crl<'_>, other: &Crl<'_>) -> bool {
    one.is_delta() == other.is_delta() && scope_of(one) == scope_of(other)
}

/// Whether a staged list stays beside what comes.
fn decide(
    old: &Crl<'_>,
    comers: &[Comer<'_>],
    keeping: Keeping,
    folder: &std::path::Path,
    odd: &mut Vec<String>,
) -> Result<bool, (usize, CrlRefusal)> {
    if comers.iter().any(|comer| is_alike(&comer.crl, old)) {
        return Ok(false);
    }
    let scope = scope_of(old);
    let partner = comers
        .iter()
        .position(|comer| scope_of(&comer.crl) == scope);
    let Some(place) = partner else {
        return match keeping {
            Keeping::Partitions => Ok(true),
            // Two lists of one CA with different scopes are different lists.
            Keeping::Scope => Err((
                0,
                CrlRefusal::OtherScope {
                    folder: folder.display().to_string(),
                },
            )),
        };
    };
    if !old.is_delta() {
        return Ok(true);
    }
    let full = &comers[place].crl;
    let changes_it = fits(full, old).and_then(|()| is_in_turn(full, old));
    if changes_it.is_ok() && number(full) < number(old) {
        return Ok(true);
    }
    // What the delta says must be in the list that takes its place.
    if old.this_update > full.this_update || number(old) > number(full) {
        let delta: UnixSeconds = old.this_update;
        return Err((place, CrlRefusal::BehindDelta { delta }));
    }
    odd.push("the staged delta says nothing that this list does not, and goes".to_owned());
    Ok(false)
}

fn number<'a>(crl: &Crl<'a>) -> Option<(usize, &'a [u8])> {
    crl.extensions.number.map(unsigned)
}

/// Whether a staged list's issuer has another key among these parties than among those of then.
fn is_of_another_key(old: &Crl<'_>, then: &Parties<'_>, now: &Parties<'_>) -> bool {
    then.signer_of(old.issuer).spki != now.signer_of(old.issuer).spki
}

/// Whether a staged delta is not newer than a complete list of its scope that comes. By their dates: it is asked where two
/// keys number their lists apart.
fn is_behind_a_complete_list(old: &Crl<'_>, comers: &[Comer<'_>]) -> bool {
    let replaces = |new: &Crl<'_>| {
        !new.is_delta() && scope_of(new) == scope_of(old) && new.this_update >= old.this_update
    };
    old.is_delta() && comers.iter().any(|comer| replaces(&comer.crl))
}

/// Whoever takes over a name with another key may count anew, but not date his lists before those that were there.
fn never_back(new: &Crl<'_>, old: &Crl<'_>, is_rekeyed: bool) -> Result<(), CrlRefusal> {
    if new.this_update < old.this_update {
        return Err(CrlRefusal::Older {
            this_update: new.this_update,
            staged: old.this_update,
        });
    }
    if !is_rekeyed
        && let (Some(number), Some(staged)) = (new.extensions.number, old.extensions.number)
        && unsigned(number) < unsigned(staged)
    {
        return Err(CrlRefusal::LowerNumber {
            number: encode_hex(number),
            staged: encode_hex(staged),
        });
    }
    Ok(())
}

/// Digits of a BLAKE3 by which a list may be named.
pub const LEAST_DIGITS: usize = 8;
