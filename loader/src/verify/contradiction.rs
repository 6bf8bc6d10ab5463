//! The part of the proof that is made before publishing: does what came contradict what it would stand beside?
//!
//! A list that came, with its delta if it has one, is held against the packs, entry by entry, and against the list before
//! it: whatever is not on it any more must have been released, or have left because its certificate expired. A base pack
//! that came is held against every list, and its revocations must stand on the list of all, or, if there is none, on some
//! partition's. A list shows a revocation once it shows the revision of the first pack that had it: the pack whose place a
//! base takes had what was revoked before. What was there already was held
//! against one another when it came, so this is the proof that `verify` makes at once, made step by step, at the cost of
//! what came. Lists of the first edition, which do not say which revision they show, are passed over, and so are lists
//! that were there and cannot be read: nothing is then missed on the others.

use wire::serial::{Serial, SerialHashKey, shard};
use wire::status::{CertStatus, RevocationReason};

use super::answers::{Answers, may_follow, same, status_text};
use super::view::{Published, Scopes, View};
use crate::expired;
use crate::home::Home;
use crate::pack::Pack;

/// What would be published of one issuer.
pub struct Eve<'p> {
    /// Where the names of what expired are.
    pub home: &'p Home,
    /// The key of its serials' hash.
    pub key: SerialHashKey,
    /// Every list it will have.
    pub lists: Vec<Published>,
    /// Names of those that came.
    pub came: Vec<String>,
    /// The complete lists that they replace.
    pub before: Vec<Published>,
    /// Every pack it will have.
    pub answers: Answers<'p>,
    /// Base packs that came.
    pub bases: Vec<&'p Pack>,
    /// Base packs whose place those take.
    pub replaced: Vec<&'p Pack>,
    /// Deltas, old and new: few records.
    pub deltas: Vec<&'p Pack>,
    /// Whether all lists that it will have are among [`Self::lists`].
    pub sight: Sight,
}

/// Whether every list can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Each of them.
    Whole,
    /// Some cannot be read, or do not say what they show.
    Partial,
}

/// The lists of an eve, read once.
pub struct Seen<'l> {
    /// Those that it will have; whether they came.
    views: Vec<(View<'l>, bool)>,
    /// Those that are replaced, as far as they can be read.
    before: Vec<View<'l>>,
    sight: Sight,
}

impl<'p> Eve<'p> {
    /// Reads its lists. One that came and cannot be held against anything is the first thing that does not agree.
    pub fn read(&self) -> Result<Seen<'_>, String> {
        let scopes = Scopes::of(&self.lists);
        let mut lone = scopes.lone.iter().filter(|delta| delta.mark.is_some());
        if let Some(delta) = lone.find(|delta| self.has_come(delta)) {
            return Err(format!("{} changes a list that is not there", delta.name));
        }
        let mut views = Vec::new();
        let mut sight = self.sight;
        if !scopes.lone.is_empty() {
            sight = Sight::Partial;
        }
        for (full, delta) in scopes.together {
            if full.mark.is_none() {
                sight = Sight::Partial;
                continue;
            }
            let came = self.has_come(full) || delta.is_some_and(|delta| self.has_come(delta));
            match self.view(full, delta) {
                Ok(view) => views.push((view, came)),
                // What was there already and cannot be read keeps nobody out.
                Err(why) if came => return Err(why),
                Err(_) => sight = Sight::Partial,
            }
        }
        let before = self.before.iter();
        Ok(Seen {
            views,
            before: before.filter_map(|b| View::of(b, self.key).ok()).collect(),
            sight,
        })
    }

    /// The first thing that does not agree, in a sentence.
    pub fn contradiction(&self, seen: &Seen<'_>) -> Option<String> {
        let mut came = seen.views.iter().filter(|(_, came)| *came);
        if let Some(wrong) = came.find_map(|(view, _)| self.list_to_packs(view)) {
            return Some(wrong);
        }
        let mut views = seen.views.iter();
        if let Some(wrong) = views.find_map(|(view, _)| self.list_to_bases(view)) {
            return Some(wrong);
        }
        let mut before = seen.before.iter();
        let vanished = before.find_map(|before| self.vanished(before, &seen.views));
        vanished.or_else(|| self.packs_to_lists(&self.deltas, seen))
    }

    /// The first thing that does not agree any more where all agreed, since the deltas `came` and the deltas `gone` were
    /// joined with others: of no other serial is the answer another, nor another pack's. What it costs goes by their length
    /// and not by the lists'.
    pub fn contradiction_since(
        &self,
        seen: &Seen<'_>,
        came: &[&'p Pack],
        gone: &[&Pack],
    ) -> Option<String> {
        let records = came.iter().chain(gone).flat_map(|pack| pack.records());
        let serials = records.filter_map(|record| Serial::from_padded(record.serial_padded()).ok());
        let views = seen.views.iter().filter(|(_, came)| *came);
        let views: Vec<&View<'_>> = views.map(|(view, _)| view).collect();
        let mut wrong = serials.filter_map(|serial| {
            let unlike_list = |view: &&View<'_>| {
                let listed = view.says(&serial)?;
                let differs = self.differs(view, &serial, listed);
                differs.then(|| unlike(&serial, listed, view.name))
            };
            let is_gone = |before: &View<'_>| {
                before.says(&serial)?;
                self.is_missed(&serial, after(before, &seen.views)?)
            };
            let on_lists = views.iter().find_map(unlike_list);
            on_lists.or_else(|| seen.before.iter().find_map(is_gone))
        });
        wrong.next().or_else(|| self.packs_to_lists(came, seen))
    }

    /// The same with other answers, other deltas among them, and no base that came.
    pub fn with<'q>(&self, answers: Answers<'q>, deltas: Vec<&'q Pack>) -> Eve<'q>
    where
        'p: 'q,
    {
        Eve {
            home: self.home,
            key: self.key,
            lists: Vec::new(),
            came: Vec::new(),
            before: Vec::new(),
            answers,
            bases: Vec::new(),
            replaced: Vec::new(),
            deltas,
            sight: self.sight,
        }
    }

    /// A complete list and its delta, with what expired.
    fn view<'a>(
        &self,
        full: &'a Published,
        delta: Option<&'a Published>,
    ) -> Result<View<'a>, String> {
        let mut view = View::together(full, delta, self.key)?;
        let expired = full.mark.as_ref().and_then(|mark| mark.expired.as_ref());
        view.expired = expired::read(self.home, expired).map_err(|error| error.to_string())?;
        Ok(view)
    }

    /// Whatever stood on the list before and is still answered `revoked` stands on the new one.
    fn vanished(&self, before: &View<'_>, views: &[(View<'_>, bool)]) -> Option<String> {
        let after = after(before, views)?;
        before
            .entries()
            .find_map(|(serial, _)| self.is_missed(&serial, after))
    }

    /// What is wrong if a serial that is answered `revoked` is not on a list.
    fn is_missed(&self, serial: &Serial, after: &View<'_>) -> Option<String> {
        let (pack, status) = self.answers.find(serial)?;
        let is_revoked = matches!(status, CertStatus::Revoked { .. });
        let is_missed = is_revoked && is_forgotten(after, serial, pack);
        is_missed.then(|| lacks(serial, status, after.name))
    }

    /// Whatever base packs that came answer `revoked`, or these deltas, is on the list of all, or on some partition's.
    fn packs_to_lists(&self, deltas: &[&'p Pack], seen: &Seen<'_>) -> Option<String> {
        let is_whole = |view: &View<'_>| view.full.extensions.distribution_point.is_none();
        let whole = seen.views.iter().find(|(view, _)| is_whole(view));
        let asked = match whole {
            Some(whole) => std::slice::from_ref(whole),
            // It may stand on the one that cannot be asked.
            None if seen.sight == Sight::Partial => return None,
            None => &seen.views,
        };
        let (first, _) = asked.first()?;
        let mut packs = self.bases.clone();
        if asked.iter().any(|(_, came)| *came) {
            packs.extend(deltas);
        }
        // Which partition's it would be is not known here: if one shows less than the first pack that had the revocation, it
        // may yet come there.
        let revoked = self.answers.revoked_in(&packs).into_iter();
        let mut forgotten = revoked.filter(|(serial, pack, status)| {
            let is_on_none = || asked.iter().all(|(view, _)| lacks_it(view, serial));
            let is_due = || {
                let first = self.first_to_say(serial, *status, pack);
                asked.iter().all(|(view, _)| !view.is_before(first))
            };
            // There are few deltas, and may be many partitions.
            match asked {
                [_] => is_on_none() && is_due(),
                _ => is_due() && is_on_none(),
            }
        });
        let (serial, _, status) = forgotten.next()?;
        let name = match whole {
            Some(_) => first.name,
            None => "any partition's list",
        };
        Some(lacks(&serial, status, name))
    }

    /// The oldest pack at hand that revokes it alike. A hold may have ended and begun anew since, so of that only the pack
    /// that answers now.
    fn first_to_say(&self, serial: &Serial, status: CertStatus, newest: &'p Pack) -> &'p Pack {
        let is_hold = matches!(
            status,
            CertStatus::Revoked {
                reason: Some(RevocationReason::CertificateHold),
                ..
            }
        );
        let says_so = |pack: &&'p Pack| {
            let said = Answers::of(std::slice::from_ref(pack)).find(serial);
            !is_hold && said.is_some_and(|(_, said)| same(said, status))
        };
        let older = self.replaced.iter().chain(&self.deltas).copied();
        let oldest = older.filter(says_so).min_by_key(|pack| pack.age());
        oldest.map_or(newest, |oldest| match oldest.age() < newest.age() {
            true => oldest,
            false => newest,
        })
    }

    fn has_come(&self, list: &Published) -> bool {
        self.came.contains(&list.name)
    }

    /// A base pack that came must not answer otherwise what a list revokes. One that lacks the serial may have archived it.
    fn list_to_bases(&self, view: &View<'_>) -> Option<String> {
        if self.bases.is_empty() {
            return None;
        }
        let differs = |(serial, listed): &(Serial, CertStatus)| {
            let hash = self.key.hash(serial.content());
            let is_asked = |base: &&Pack| shard(hash, base.shards().0).0 == base.shards().1;
            if !self.bases.iter().any(is_asked) {
                return false;
            }
            let found = self.answers.find(serial);
            found.is_some_and(|(pack, status)| {
                !(same(status, *listed) || may_follow(*listed, status) && view.is_before(pack))
            })
        };
        let (serial, listed) = view.entries().find(differs)?;
        Some(unlike(&serial, listed, view.name))
    }

    /// Whatever a list revokes is answered so.
    fn list_to_packs(&self, view: &View<'_>) -> Option<String> {
        let mut entries = view.entries();
        let (serial, listed) = entries.find(|(serial, said)| self.differs(view, serial, *said))?;
        Some(unlike(&serial, listed, view.name))
    }

    /// Whether the packs answer otherwise than the list says, with no later revision to explain it.
    fn differs(&self, view: &View<'_>, serial: &Serial, listed: CertStatus) -> bool {
        match self.answers.find(serial) {
            Some((_, status)) if same(status, listed) => false,
            Some((pack, status)) => !(may_follow(listed, status) && view.is_before(pack)),
            None => !self.answers.is_hidden(serial),
        }
    }
}

/// The list in whose place a later one comes.
fn after<'v, 'l>(before: &View<'_>, views: &'v [(View<'l>, bool)]) -> Option<&'v View<'l>> {
    let point = before.full.extensions.distribution_point;
    let mut views = views.iter().map(|(view, _)| view);
    views.find(|view| view.full.extensions.distribution_point == point)
}

/// A date proves nothing here: a revocation must not be kept from going out by a clock that was set.
fn is_forgotten(view: &View<'_>, serial: &Serial, pack: &Pack) -> bool {
    lacks_it(view, serial) && !view.is_before(pack)
}

fn lacks_it(view: &View<'_>, serial: &Serial) -> bool {
    view.says(serial).is_none() && !view.expired.contains(serial)
}

fn unlike(serial: &Serial, listed: CertStatus, list: &str) -> String {
    format!(
        "serial {serial}: {list} says {}, the packs do not",
        status_text(listed)
    )
}

fn lacks(serial: &Serial, status: CertStatus, list: &str) -> String {
    format!(
        "serial {serial}: the packs say {}, {list} does not have it",
        status_text(status)
    )
}
