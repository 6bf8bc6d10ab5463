//! What stands on a list, read from the registry in one view.

use wire::serial::Serial;
use wire::status::RevocationReason;
use wire::time::UnixSeconds;

use super::{AuthorityId, Cut, ListScope, Revision};

/// What a list, or a full one and its delta at once, is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Whose.
    pub authority: AuthorityId,
    /// Of which certificates.
    pub scope: ListScope,
    /// What has left the newest full list: the one made now, or the one the delta stands beside.
    pub cut: Option<Cut>,
    /// Serials of certificates that expired before this are answered for no longer.
    pub archived_since: UnixSeconds,
    /// Whether the entries of a full list are wanted.
    pub full: Part,
    /// Whether the entries of a delta are wanted, and since what.
    pub delta: Option<DeltaSince>,
}

/// Whether a part of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is.
    Wanted,
    /// It would cost and not be used.
    Unwanted,
}

/// The list that a delta changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaSince {
    /// The revision it shows.
    pub revision: Revision,
    /// What had left it.
    pub cut: Option<Cut>,
}

/// A revoked certificate as a list says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Serial.
    pub serial: Serial,
    /// revocationDate.
    pub at: UnixSeconds,
    /// Why; removeFromCRL in deltas for what left the list.
    pub reason: RevocationReason,
    /// Since when its key is thought bad.
    pub invalidity_date: Option<UnixSeconds>,
}

/// The answer: one moment of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Nothing newer is in it, nothing older is missing.
    pub revision: Revision,
    /// Entries of the full list, in no order.
    pub full: Vec<Listed>,
    /// Entries of the delta, in no order, no serial twice.
    pub delta: Vec<Listed>,
    /// Revoked serials that left the full list by expiry and are still answered for.
    pub expired: Vec<Serial>,
}
