//! How far the lists of another authority have come, scope by scope: none of them is adopted in an older state again.
//!
//! The registry's row of an adoption has one date and one number. Of partitions it has the newest one's date, behind which
//! each of the others could go back unnoticed. So a setting of the registry, `reached <issuer>`, has a line a scope:
//!
//! ```text
//! SHA-256 of the scope, 32 digits │ thisUpdate │ CRLNumber, hexadecimal, or -
//! ```
//!
//! It is written before the adoption it belongs to: whoever dies in between adopts the same lists next time. A scope that is
//! retired keeps its line. Another key's lists are of another scope: at a change of keys all partitions together are held
//! against the newest date only, and each against its own by the loader. A replay sets no limit, so it takes the lines of its
//! scopes away: the operator's way to let a scope begin anew.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

use super::judge::Judged;
use super::{Refusal, goes_back, magnitude};
use crate::batch::BatchError;
use crate::office::Office;
use crate::registry::{Adoption, By, Store};
use crate::text::hex;

/// A scope (its issuingDistributionPoint, of an indirect list its issuer too) and the key that signs its lists, hashed.
pub(super) type Scope = [u8; 16];

/// What a scope's complete list and its delta have come to together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    /// thisUpdate of the newer one.
    pub(super) this_update: UnixSeconds,
    /// The higher CRLNumber, content octets.
    pub(super) number: Option<Vec<u8>>,
}

/// What was reached before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Floor(BTreeMap<Scope, Reached>);

/// Hashes one.
pub(super) fn scope(of: &[u8]) -> Scope {
    let hash = digest::digest(&digest::SHA256, of);
    let mut scope = Scope::default();
    scope.copy_from_slice(hash.as_ref().get(..16).expect("SHA-256 has 32 octets"));
    scope
}

impl Floor {
    /// Reads an issuer's.
    pub(super) fn read<S: Store>(office: &Office<S>, issuer: IssuerId) -> Result<Self, BatchError> {
        let name = setting(issuer);
        let text = office.registry.wait(|store| store.setting(&name))?;
        Ok(Self::parse(&text.unwrap_or_default()))
    }

    /// Refuses lists of which one is behind. Where none of their scopes is known, all together are held against what was
    /// adopted `before`, by date.
    pub(super) fn judge(&self, lists: &Judged, before: Option<&Adoption>) -> Result<(), Refusal> {
        let known = |(scope, now)| self.0.get(scope).map(|then| (then, now));
        let mut known = lists.reached.iter().filter_map(known).peekable();
        let back = match (known.peek(), before) {
            (Some(_), _) => known
                .find(|(then, now)| is_behind(now, then))
                .map(|(then, now)| (now.this_update, then.this_update)),
            // Numbers are another scope's, unless nobody has noted of which: adoptions of before there were lines.
            (None, Some(before)) => {
                let is_older = before.as_of.is_none() && lists.newest < before.this_update;
                let is_back = is_older || self.0.is_empty() && goes_back(before, lists);
                is_back.then_some((lists.newest, before.this_update))
            }
            (None, None) => None,
        };
        match back {
            Some((this_update, adopted)) => Err(Refusal::Backwards {
                this_update,
                adopted,
            }),
            None => Ok(()),
        }
    }

    /// Takes up what these lists have reached.
    pub(super) fn raise<S: Store>(
        mut self,
        lists: &Judged,
        office: &Office<S>,
        issuer: IssuerId,
        by: By<'_>,
    ) -> Result<(), BatchError> {
        let before = self.text();
        self.0.extend(lists.reached.clone());
        while self.0.len() > MOST_SCOPES {
            let gone = self.0.iter();
            let gone = gone.filter(|(scope, _)| !lists.reached.contains_key(*scope));
            let oldest = gone.min_by_key(|(_, reached)| reached.this_update);
            let Some(oldest) = oldest.map(|(scope, _)| *scope) else {
                break;
            };
            self.0.remove(&oldest);
        }
        self.write(&before, office, issuer, by)
    }

    /// Takes the limits of these lists away: they were replayed.
    pub(super) fn forget<S: Store>(
        mut self,
        lists: &Judged,
        office: &Office<S>,
        issuer: IssuerId,
        by: By<'_>,
    ) -> Result<(), BatchError> {
        let before = self.text();
        self.0.retain(|scope, _| !lists.reached.contains_key(scope));
        self.write(&before, office, issuer, by)
    }

    fn write<S: Store>(
        &self,
        before: &str,
        office: &Office<S>,
        issuer: IssuerId,
        by: By<'_>,
    ) -> Result<(), BatchError> {
        let after = self.text();
        if after != before {
            let name = setting(issuer);
            office
                .registry
                .wait(|store| store.set_setting(&name, &after, by))?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let line = |(scope, reached): (&Scope, &Reached)| {
            let number = reached.number.as_deref().map_or("-".to_owned(), hex);
            format!("{} {} {number}\n", hex(scope), reached.this_update)
        };
        self.0.iter().map(line).collect()
    }

    /// A line that is none of ours is passed over: the rest still holds.
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.split(' ');
            let scope = octets(words.next()?)?.try_into().ok()?;
            let this_update = words.next()?.parse().ok()?;
            let number = match words.next()? {
                "-" => None,
                digits => Some(octets(digits)?),
            };
            let reached = Reached {
                this_update,
                number,
            };
            Some((scope, reached))
        };
        Self(text.lines().filter_map(line).collect())
    }
}

/// By date or by number.
// RFC 5280 §5.2.3: of two lists of one scope the later one has the higher number.
fn is_behind(now: &Reached, then: &Reached) -> bool {
    let numbers = (now.number.as_deref(), then.number.as_deref());
    let lower = matches!(numbers, (Some(now), Some(then)) if magnitude(now) < magnitude(then));
    now.this_update < then.this_update || lower
}

fn octets(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|octet| pair(octet).filter(|_| octet.len() == 2))
        .collect()
}

fn setting(issuer: IssuerId) -> String {
    format!("reached {issuer}")
}

/// Four times what is ever staged together; of more the oldest are forgotten.
const MOST_SCOPES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_comes_back_as_something_else() {
        let reached = |this_update, number: Option<&[u8]>| Reached {
            this_update,
            number: number.map(<[u8]>::to_vec),
        };
        let floor = Floor(BTreeMap::from([
            (scope(b"one"), reached(1_800_000_000, Some(&[0, 255]))),
            (scope(b""), reached(0, None)),
        ]));
        assert_eq!(Floor::parse(&floor.text()), floor);
        let torn = format!("{}torn line\n0011 7 -\n", floor.text());
        assert_eq!(Floor::parse(&torn), floor);
    }
}
