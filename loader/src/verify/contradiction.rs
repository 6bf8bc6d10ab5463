//! The part of the proof that is made before publishing: does what came contradict what it would stand beside?
//!
//! A list that came is held against the packs, entry by entry, and against the list before it: whatever is not on it any
//! more must have been released, or have left because its certificate expired. A base pack that came is held against the
//! list of all. What was there already was held against one another when it came, so this is the proof that `verify` makes
//! at once, made step by step, at the cost of what came. Lists of the first edition, which do not say which revision they
//! show, are passed over.

use wire::crl::Crl;
use wire::serial::{Serial, SerialHashKey};
use wire::status::CertStatus;

use super::answers::{Answers, may_follow, same, status_text};
use super::view::{Published, View};
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
    /// The list of all that one of them replaces.
    pub before: Option<Published>,
    /// Every pack it will have.
    pub answers: Answers<'p>,
    /// Base packs that came.
    pub bases: Vec<&'p Pack>,
    /// Deltas, old and new: few records.
    pub deltas: Vec<&'p Pack>,
}

impl Eve<'_> {
    /// The first thing that does not agree, in a sentence.
    pub fn contradiction(&self) -> Option<String> {
        let came = self.lists.iter().filter(|list| self.has_come(list));
        let mut wrong = came.filter(|list| list.mark.is_some()).filter_map(|list| {
            let view = View::of(list, self.key).ok()?;
            (!view.full.is_delta())
                .then(|| self.list_to_packs(&view))
                .flatten()
        });
        if let Some(wrong) = wrong.next() {
            return Some(wrong);
        }
        let whole = self.lists.iter().find(|list| is_whole(list))?;
        let mark = whole.mark.as_ref()?;
        let list_came = self.has_come(whole);
        if !list_came && self.bases.is_empty() {
            return None;
        }
        let mut view = View::of(whole, self.key).ok()?;
        match expired::read(self.home, mark.expired.as_ref()) {
            Ok(expired) => view.expired = expired,
            Err(error) => return Some(error.to_string()),
        }
        let mut packs = self.bases.clone();
        if list_came {
            packs.extend(&self.deltas);
        }
        let in_packs = self.answers.revoked_in(&packs).into_iter();
        let before = self.before.as_ref().filter(|_| list_came);
        let before = before.and_then(|before| View::of(before, self.key).ok());
        let on_list = before.iter().flat_map(View::entries);
        let answered = on_list.filter_map(|(serial, _)| {
            let (pack, status) = self.answers.find(&serial)?;
            matches!(status, CertStatus::Revoked { .. }).then_some((serial, pack, status))
        });
        in_packs
            .chain(answered)
            .find(|(serial, pack, _)| is_forgotten(&view, serial, pack))
            .map(|(serial, _, status)| {
                format!(
                    "serial {serial}: the packs say {}, {} does not have it",
                    status_text(status),
                    whole.name
                )
            })
    }

    fn has_come(&self, list: &Published) -> bool {
        self.came.contains(&list.name)
    }

    /// Whatever a list revokes is answered so.
    fn list_to_packs(&self, view: &View<'_>) -> Option<String> {
        let differs = |(serial, listed): &(Serial, CertStatus)| match self.answers.find(serial) {
            Some((_, status)) if same(status, *listed) => false,
            Some((pack, status)) => !(may_follow(*listed, status) && view.is_before(pack)),
            None => true,
        };
        let (serial, listed) = view.entries().find(differs)?;
        Some(format!(
            "serial {serial}: {} says {}, the packs do not",
            view.name,
            status_text(listed)
        ))
    }
}

/// A date proves nothing here: a revocation must not be kept from going out by a clock that was set.
fn is_forgotten(view: &View<'_>, serial: &Serial, pack: &Pack) -> bool {
    view.says(serial).is_none() && !view.expired.contains(serial) && !view.is_before(pack)
}

fn is_whole(list: &Published) -> bool {
    Crl::parse(&list.octets)
        .is_ok_and(|crl| !crl.is_delta() && crl.extensions.distribution_point.is_none())
}
