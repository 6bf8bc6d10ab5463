//! Answers without nonce that were signed before, kept for who asks next.
//!
//! An entry counts only at the revision at which its issuer last changed: with any revocation all answers of that issuer are
//! signed anew, and a "good" from before it is never given again. Who asks looks that revision up first.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use dashmap::DashMap;
use wire::time::UnixSeconds;

use crate::registry::Revision;

/// An answer.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) octets: Bytes,
    /// The revision at which its issuer had last changed.
    pub(super) changed_at: Revision,
    /// From then on it is signed anew.
    pub(super) until: UnixSeconds,
}

/// The answers, by signer and `CertID`.
pub(super) struct Cache {
    entries: DashMap<Vec<u8>, Kept>,
    /// In the order in which they came: the oldest leaves when there are too many.
    order: Mutex<VecDeque<Vec<u8>>>,
    most: usize,
}

impl Cache {
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: DashMap::new(),
            order: Mutex::default(),
            most,
        }
    }

    /// The answer of that name, if nothing changed since it was signed.
    pub(super) fn find(
        &self,
        name: &[u8],
        changed_at: Revision,
        now: UnixSeconds,
    ) -> Option<Bytes> {
        let kept = self.entries.get(name)?;
        (kept.changed_at == changed_at && now < kept.until).then(|| kept.octets.clone())
    }

    pub(super) fn keep(&self, name: Vec<u8>, kept: Kept) {
        if self.most == 0 {
            return;
        }
        if self.entries.insert(name.clone(), kept).is_some() {
            return;
        }
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.push_back(name);
        while order.len() > self.most {
            if let Some(oldest) = order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(changed_at: Revision) -> Kept {
        Kept {
            octets: Bytes::from_static(b"an answer"),
            changed_at,
            until: 100,
        }
    }

    #[test]
    fn an_answer_from_before_a_change_is_given_again() {
        let cache = Cache::new(10);
        cache.keep(vec![1], kept(7));
        assert!(cache.find(&[1], 7, 99).is_some());
        assert!(cache.find(&[1], 8, 99).is_none());
        assert!(cache.find(&[1], 7, 100).is_none(), "past its time");
        cache.keep(vec![1], kept(8));
        assert!(cache.find(&[1], 8, 99).is_some());
    }

    #[test]
    fn questions_about_ever_more_certificates_fill_the_memory() {
        let cache = Cache::new(10);
        for number in 0..100_u8 {
            cache.keep(vec![number], kept(7));
            cache.keep(vec![number], kept(7));
        }
        assert_eq!(cache.len(), 10);
        assert_eq!(cache.order.lock().unwrap().len(), 10);
        assert!(cache.find(&[99], 7, 0).is_some());
        assert!(cache.find(&[0], 7, 0).is_none());
    }
}
