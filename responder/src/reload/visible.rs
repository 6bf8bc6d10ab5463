//! How late a change becomes visible here.

use std::time::Duration;

use hufu_loader::pack::Pack;
use hufu_loader::snapshot::Snapshot;
use wire::cert_id::IssuerId;

/// How long the newest change in `snapshot` has been under way: since the signer read the registry for it, a moment in
/// whole seconds, so that up to one second too much is told and never too little. None if no status has changed. What a
/// responder finds when it starts counts for nothing: it may be old without anyone's fault.
pub(super) fn under_way(snapshot: &Snapshot, before: &Snapshot, now: Duration) -> Option<Duration> {
    let packs = snapshot.packs().map(|(digest, pack)| (digest, &**pack));
    let new: Vec<&Pack> = packs
        .filter(|(digest, _)| before.pack(**digest).is_none())
        .map(|(_, pack)| pack)
        .collect();
    // Changes leave in pieces, of which the first may bring all to the newest revision. A join is as old as its newest part.
    let has_next_piece = || {
        new.iter()
            .any(|pack| pack.is_delta() && Some(pack.age()) > newest_delta(before, pack.issuer()))
    };
    if snapshot.revision() <= before.revision() && !has_next_piece() {
        return None;
    }
    let read_at = new.iter().map(|pack| pack.created_at()).max()?;
    Some(now.saturating_sub(Duration::from_secs(read_at)))
}

/// Revision and batch of an issuer's newest delta.
fn newest_delta(snapshot: &Snapshot, issuer: IssuerId) -> Option<(u64, u64)> {
    let deltas = snapshot.packs().map(|(_, pack)| pack);
    deltas
        .filter(|pack| pack.is_delta() && pack.issuer() == issuer)
        .map(|pack| pack.age())
        .max()
}

/// Upper bounds of the histogram of changes, nanoseconds.
pub(super) const BOUNDS: &[u64] = &[
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    1_500_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    300_000_000_000,
];
