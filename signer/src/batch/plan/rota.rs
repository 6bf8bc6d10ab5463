//! Whose turn it is: base shards are signed again one after another, so that the load is flat.
//!
//! With S shards and a period P, shard i has its turn at every moment that is i/S of a period past a multiple of P (moved
//! by an amount of its issuer's own, so that issuers do not fall together). What was signed before its last turn is due.
//! Turns follow from the clock and the shard's number alone: nothing is remembered that a restart could lose or a clock
//! that steps could spoil. All shards signed at once, as after a week without power, spread over the next period by
//! themselves. N certificates cost N/P × variants signatures a second.
//!
//! What cannot wait for its turn goes first, by deadline: what was never signed or was dated by a clock that was ahead,
//! then what is past three quarters of its window or past the age its operator allows.

use super::is_ahead;
use crate::registry::BatchRecord;
use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

/// How fast an issuer's responses are signed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Seconds from one turn of a shard to its next.
    pub refresh: u64,
    /// No response's thisUpdate shall be older, in seconds.
    pub age_objective: u64,
    /// Moves all turns, so that issuers do not fall together.
    pub offset: u64,
}

/// Why a shard is signed now. The order is that of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// No response of it counts: none was signed, it was refused, or for other CertID forms.
    Unsigned,
    /// It was signed by a clock that was ahead of ours.
    ClockWasAhead,
    /// Its windows are three quarters over, or older than they may be.
    Overdue,
    /// Its turn has come.
    Turn,
}

/// A shard that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// Why.
    pub why: Why,
    /// Until when it should have been signed; 0: for ever late.
    pub deadline: UnixSeconds,
    /// Which.
    pub shard: u32,
}

/// The most urgent of an issuer's shards, if any is due. `latest` holds of each shard the newest batch that counts.
#[must_use]
pub fn most_urgent(latest: &[Option<BatchRecord>], pace: &Pace, now: UnixSeconds) -> Option<Due> {
    let shards = latest.len() as u64;
    let due = (0..).zip(latest).filter_map(|(shard, record)| {
        let (why, deadline) = match record {
            None => (Why::Unsigned, 0),
            Some(record) => judge(record, pace, turn(shard, shards, pace, now), now)?,
        };
        Some(Due {
            why,
            deadline,
            shard,
        })
    });
    due.min()
}

/// Why a shard is due, and until when it should have been signed.
fn judge(
    record: &BatchRecord,
    pace: &Pace,
    turn: UnixSeconds,
    now: UnixSeconds,
) -> Option<(Why, UnixSeconds)> {
    if is_ahead(record.created_at, now) {
        return Some((Why::ClockWasAhead, 0));
    }
    let deadline = deadline(record, pace);
    if now >= deadline {
        return Some((Why::Overdue, deadline));
    }
    // A turn soon after the last signing is passed over if the next one comes early enough: after a founding half of the
    // shards would be signed twice within minutes.
    let early = turn < record.created_at.saturating_add(pace.refresh / 2)
        && turn.saturating_add(pace.refresh) < deadline;
    (record.created_at < turn && !early).then_some((Why::Turn, deadline))
}

/// Until when a shard must be signed again: three quarters of its windows, or the age its operator allows.
fn deadline(record: &BatchRecord, pace: &Pace) -> UnixSeconds {
    let window = record.next_update.saturating_sub(record.created_at);
    let aged = record.created_at.saturating_add(pace.age_objective);
    aged.min(record.created_at.saturating_add(window / 4 * 3))
}

/// The last turn of a shard that has come; 0 if none has.
fn turn(shard: u32, shards: u64, pace: &Pace, now: UnixSeconds) -> UnixSeconds {
    let period = pace.refresh.max(1);
    let phase = u128::from(period) * u128::from(shard) / u128::from(shards.max(1));
    let phase = (u64::try_from(phase).unwrap_or(0) + pace.offset) % period;
    match now.checked_sub(phase) {
        Some(since) => now - since % period,
        None => 0,
    }
}

/// An amount of an issuer's own below one period.
#[must_use]
pub fn offset(issuer: &IssuerId, refresh: u64) -> u64 {
    let octets = issuer.0.first_chunk().expect("an issuer id has 16 octets");
    u64::from_be_bytes(*octets) % refresh.max(1)
}

/// Into how many shards an issuer of so many records should be divided: a power of two that leaves about `a_shard` records
/// in each. What there is stays until it is wrong by more than a factor of two (too few) or eight (too many): a change costs
/// one full batch.
#[must_use]
pub fn shards_for(records: u64, a_shard: u64, now: u32) -> u32 {
    let ideal = records.div_ceil(a_shard.max(1)).clamp(1, MOST_SHARDS);
    let ideal = u32::try_from(ideal.next_power_of_two()).unwrap_or(1);
    if ideal > now.saturating_mul(2) || ideal.saturating_mul(8) <= now {
        ideal
    } else {
        now
    }
}

/// More make a generation of too many files.
pub const MOST_SHARDS: u64 = 4_096;

#[cfg(test)]
mod tests;
