//! What changed since, a piece at a time: revocations, holds and releases first, then what was newly issued.
//!
//! After a long stop there may be millions of certificates that were issued meanwhile, and one that was revoked: whoever
//! asks for it must not wait for the millions.

use super::{Revision, StatusRow};

/// How far an authority's changes have been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// All revocations, holds and releases up to this revision.
    pub turned: Revision,
    /// Everything else up to there.
    pub issued: Place,
}

/// A place in the order of (revision, row).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) revision: Revision,
    /// Of that revision only rows up to this one lie before the place; none: all of them.
    pub(super) row: Option<i64>,
}

/// A piece of what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The registry's revision when they were read: each status is true at it, though others may not be told yet.
    pub revision: Revision,
    /// The statuses.
    pub rows: Vec<StatusRow>,
    /// How far is told once these are.
    pub told: Told,
    /// What comes behind them.
    pub rest: Rest,
}

/// Whether there is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All up to `told.turned` is told.
    Nothing,
    /// Another piece at least.
    More,
}

impl Told {
    /// Everything up to a revision.
    #[must_use]
    pub fn all(revision: Revision) -> Self {
        Self {
            turned: revision,
            issued: Place {
                revision,
                row: None,
            },
        }
    }

    /// Whether everything up to a revision is told.
    #[must_use]
    pub fn reaches(&self, revision: Revision) -> bool {
        let issued = &self.issued;
        self.turned >= revision && issued.row.is_none() && issued.revision >= revision
    }
}
