//! What a follower tells: one log line for each change, and the file `follow.json` in the edge folder for whoever watches.
//!
//! ```text
//! {"state":"following"|"refused","number":12,"refused":null|{"kind":"altered","reason":"…","times":3},"store":"s3://…"}
//! ```
//!
//! A store that stays wrong is said once: the reason is logged when it changes, and counted each time.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Followed, Follower, Refusal, Taken};
use crate::durable::{Audience, write_whole};
use crate::error::sentence;

/// What was polled, taken and refused since the start; for metrics.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Looks at the store.
    pub polls: u64,
    /// Generations taken.
    pub taken: u64,
    /// Files fetched for them.
    pub files: u64,
    /// Octets fetched for them.
    pub octets: u64,
    /// Polls that ended in a refusal, by [`Refusal::kind`].
    pub refused: BTreeMap<&'static str, u64>,
    /// What is refused at present.
    standing: Option<Standing>,
    /// Every reason that was logged since something went well last: a wire that is refused now, and reset then, is told
    /// of twice and not without end.
    told: Vec<String>,
}

/// A refusal that stands: the store offers, or lacks, the same thing at every poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Standing {
    kind: &'static str,
    reason: String,
    times: u64,
}

/// The file's content.
#[derive(Serialize)]
struct StatusFile<'a> {
    state: &'static str,
    number: Option<u64>,
    refused: Option<&'a Standing>,
    store: String,
}

impl Tally {
    /// How many polls in a row ended in the refusal that stands; 0 when nothing is refused.
    pub fn refusals_in_a_row(&self) -> u64 {
        self.standing.as_ref().map_or(0, |standing| standing.times)
    }

    /// Counts a refusal; true if it was not said before.
    fn refuse(&mut self, kind: &'static str, reason: String) -> bool {
        *self.refused.entry(kind).or_default() += 1;
        let times = self.refusals_in_a_row() + 1;
        let news = !self.told.contains(&reason) && self.told.len() < MAX_REASONS;
        if news {
            self.told.push(reason.clone());
        }
        self.standing = Some(Standing {
            kind,
            reason,
            times,
        });
        news
    }

    /// Something went well; what was refused before that.
    fn recover(&mut self) -> Option<Standing> {
        self.told.clear();
        self.standing.take()
    }
}

impl Follower<'_> {
    /// Counts an outcome; logs it and writes the file if it is news.
    pub(super) fn tell(&mut self, outcome: &Result<Followed, Refusal>) {
        self.tally.polls += 1;
        let first = self.tally.polls == 1;
        let news = match outcome {
            Ok(Followed::Took(taken)) => {
                self.tell_taken(*taken);
                true
            }
            Ok(outcome) => {
                if first && *outcome == Followed::Empty {
                    let store = self.source.root().display();
                    tracing::warn!(%store, "follow: the store holds no generation yet");
                }
                let over = self.tally.recover();
                if let Some(over) = &over {
                    tracing::info!(was = over.kind, times = over.times, "follow: goes on again");
                }
                over.is_some()
            }
            Err(refusal) => {
                let reason = sentence(refusal);
                let news = self.tally.refuse(refusal.kind(), reason.clone());
                if news {
                    tracing::error!(serving = self.number(), kind = refusal.kind(), %reason, "follow: refused");
                }
                news
            }
        };
        if (news || first)
            && let Err(error) = self.write_status()
        {
            tracing::warn!(reason = %sentence(&error), "follow: could not write its status");
        }
    }

    fn tell_taken(&mut self, taken: Taken) {
        let Taken {
            number,
            files,
            octets,
            chain,
        } = taken;
        self.tally.taken += 1;
        self.tally.files += files;
        self.tally.octets += octets;
        self.tally.recover();
        tracing::info!(number, files, octets, ?chain, "follow: took generation");
    }

    fn write_status(&self) -> Result<(), crate::durable::DiskError> {
        let refused = self.tally.standing.as_ref();
        let file = StatusFile {
            state: if refused.is_some() {
                "refused"
            } else {
                "following"
            },
            number: self.number(),
            refused,
            store: self.source.root().display().to_string(),
        };
        let mut text = serde_json::to_vec(&file).expect("plain words and numbers");
        text.push(b'\n');
        let temp = self.edge.temp().join(STATUS_FILE);
        let path = self.edge.root().join(STATUS_FILE);
        write_whole(self.disk, &temp, &path, &text, Audience::Everyone)
    }
}

/// Different reasons that are logged before something goes well again; the counters go on.
const MAX_REASONS: usize = 16;
/// Beside `current` in the edge folder.
const STATUS_FILE: &str = "follow.json";
