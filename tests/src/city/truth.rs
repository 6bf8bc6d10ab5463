//! What may be said of a certificate at a moment, known from what was ordered and from what has been said already.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Plan;
use crate::pki::Status;

/// One certificate. Moments are nanoseconds from the beginning of the day; [`NEVER`] if they have not come.
#[derive(Debug)]
struct Known {
    serial: Vec<u8>,
    hex: String,
    /// Revoked before the day.
    old: bool,
    /// When the command was begun, and when it had returned.
    begun: AtomicU64,
    returned: AtomicU64,
    /// The same by the clock, in Unix seconds.
    begun_at: AtomicU64,
    returned_at: AtomicU64,
    /// When an answer signed ahead, and one of the live lane's, first said "revoked".
    seen: [AtomicU64; 2],
    /// When, by what was said.
    revoked_at: OnceLock<u64>,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// An answer that was signed ahead.
    Ahead,
    /// One that was signed when it was asked for. It may know more than the packs do; never less.
    Live,
}

/// All certificates.
#[derive(Debug)]
pub struct Truth {
    dawn: Instant,
    all: Vec<Known>,
    victims: Vec<usize>,
    visible_within: u64,
    listed_within: u64,
}

/// A question's moments.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// Just before it was sent.
    pub sent: Instant,
    /// Just after the answer was whole.
    pub received: Instant,
}

impl Truth {
    /// As it is before the day: one in a hundred is revoked.
    pub fn new(plan: &Plan, serials: impl Iterator<Item = Vec<u8>>) -> Self {
        let never = || AtomicU64::new(NEVER);
        let known = |(number, serial): (usize, Vec<u8>)| Known {
            hex: serial.iter().map(|octet| format!("{octet:02x}")).collect(),
            serial,
            old: number % OLD_ONE_IN == 0,
            begun: never(),
            returned: never(),
            begun_at: never(),
            returned_at: never(),
            seen: [never(), never()],
            revoked_at: OnceLock::new(),
        };
        let all: Vec<Known> = serials.enumerate().map(known).collect();
        let young: Vec<usize> = (0..all.len()).filter(|number| !all[*number].old).collect();
        let apart = (young.len() / (plan.revocations as usize).max(1)).max(1);
        Self {
            victims: young.into_iter().step_by(apart).collect(),
            all,
            dawn: Instant::now(),
            visible_within: nanos(plan.visible_within),
            listed_within: nanos(plan.listed_within),
        }
    }

    /// Which certificate is revoked as the so-manieth.
    ///
    /// # Panics
    /// If there are more revocations than certificates.
    #[must_use]
    pub fn victim(&self, number: u32) -> usize {
        self.victims[number as usize]
    }

    /// Somebody to ask about: a victim, of today or not, in three of ten cases.
    #[must_use]
    pub fn somebody(&self, drawn: u64) -> usize {
        let (kind, which) = (drawn % 10, drawn / 10);
        let among = |length: usize| usize::try_from(which % length as u64).unwrap_or(0);
        if kind < 3 {
            self.victims[among(self.victims.len())]
        } else {
            among(self.all.len())
        }
    }

    /// INTEGER content.
    #[must_use]
    pub fn serial(&self, which: usize) -> &[u8] {
        &self.all[which].serial
    }

    /// The same in hex.
    #[must_use]
    pub fn hex(&self, which: usize) -> &str {
        &self.all[which].hex
    }

    /// The command is about to be given.
    pub fn revoking(&self, which: usize) {
        self.all[which].begun_at.store(clock(), Ordering::SeqCst);
        let now = self.moment(Instant::now());
        self.all[which].begun.store(now, Ordering::SeqCst);
    }

    /// The command has returned.
    pub fn revoked(&self, which: usize) {
        self.all[which].returned_at.store(clock(), Ordering::SeqCst);
        let now = self.moment(Instant::now());
        self.all[which].returned.store(now, Ordering::SeqCst);
    }

    /// Judges what was said of one certificate.
    ///
    /// # Errors
    /// With why it cannot be true.
    pub fn judge(
        &self,
        which: usize,
        said: Status,
        voice: Voice,
        exchange: Exchange,
    ) -> Result<(), String> {
        let known = &self.all[which];
        let hex = &known.hex;
        let (sent, received) = (self.moment(exchange.sent), self.moment(exchange.received));
        match said {
            Status::Unknown => Err(format!("{hex} is unknown")),
            Status::Good => {
                if known.old {
                    return Err(format!("{hex} is good, and was revoked before the day"));
                }
                let ahead = known.seen[Voice::Ahead as usize].load(Ordering::SeqCst);
                let live = known.seen[Voice::Live as usize].load(Ordering::SeqCst);
                let seen = match voice {
                    Voice::Ahead => ahead,
                    Voice::Live => ahead.min(live),
                };
                if seen < sent {
                    return Err(format!(
                        "{hex} is good again {} ms after it was revoked on the wire",
                        millis(sent - seen)
                    ));
                }
                let returned = known.returned.load(Ordering::SeqCst);
                if returned.saturating_add(self.visible_within) < sent {
                    return Err(format!(
                        "{hex} is good {} ms after it was revoked",
                        millis(sent - returned)
                    ));
                }
                Ok(())
            }
            Status::Revoked(at, reason) => {
                if reason != Some(KEY_COMPROMISE) {
                    return Err(format!("{hex} is revoked for {reason:?}"));
                }
                if *known.revoked_at.get_or_init(|| at) != at {
                    return Err(format!("{hex} was revoked at two times"));
                }
                if known.old {
                    return Ok(());
                }
                // Nanoseconds are read after the clock was: whoever sees the one has the other.
                if known.begun.load(Ordering::SeqCst) > received {
                    return Err(format!("{hex} is revoked, and nobody revoked it"));
                }
                let from = known.begun_at.load(Ordering::SeqCst);
                // Not returned yet: its time is at most now.
                let until = match known.returned_at.load(Ordering::SeqCst) {
                    NEVER => clock(),
                    returned => returned,
                };
                if at + 1 < from || at > until + 1 {
                    return Err(format!(
                        "{hex} was revoked at {at}, not from {from} to {until}"
                    ));
                }
                known.seen[voice as usize].fetch_min(received, Ordering::SeqCst);
                Ok(())
            }
        }
    }

    /// Judges what lists say together: a serial's being on them or not.
    ///
    /// # Errors
    /// With the first that is missing or too much.
    pub fn judge_lists(
        &self,
        listed: &dyn Fn(&[u8]) -> bool,
        entries: usize,
        exchange: Exchange,
    ) -> Result<(), String> {
        let (sent, received) = (self.moment(exchange.sent), self.moment(exchange.received));
        let mut known = 0;
        for certificate in &self.all {
            let is_listed = listed(&certificate.serial);
            known += usize::from(is_listed);
            let begun = certificate.begun.load(Ordering::SeqCst);
            let returned = certificate.returned.load(Ordering::SeqCst);
            let must = certificate.old || returned.saturating_add(self.listed_within) < sent;
            let may = certificate.old || begun < received;
            if must && !is_listed {
                return Err(format!("{} is not listed", certificate.hex));
            }
            if is_listed && !may {
                return Err(format!(
                    "{} is listed, and nobody revoked it",
                    certificate.hex
                ));
            }
        }
        if known < entries {
            return Err(format!(
                "{} serials listed that nobody issued",
                entries - known
            ));
        }
        Ok(())
    }

    /// Those that were revoked today and of which no answer signed ahead has said so.
    pub fn unseen(&self) -> impl Iterator<Item = usize> {
        self.victims.iter().copied().filter(|which| {
            let known = &self.all[*which];
            known.returned.load(Ordering::SeqCst) != NEVER
                && known.seen[Voice::Ahead as usize].load(Ordering::SeqCst) == NEVER
        })
    }

    /// From the command's word to the first answer signed ahead that somebody happened to ask for, for each of today's.
    #[must_use]
    pub fn visible(&self) -> Vec<Duration> {
        let seen = self.victims.iter().filter_map(|which| {
            let known = &self.all[*which];
            let returned = known.returned.load(Ordering::SeqCst);
            let seen = known.seen[Voice::Ahead as usize].load(Ordering::SeqCst);
            let was_seen = returned != NEVER && seen != NEVER;
            was_seen.then(|| Duration::from_nanos(seen.saturating_sub(returned)))
        });
        seen.collect()
    }

    fn moment(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.dawn))
    }
}

/// Unix seconds.
#[must_use]
pub fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

fn millis(nanos: u64) -> u64 {
    nanos / 1_000_000
}

const NEVER: u64 = u64::MAX;
const KEY_COMPROMISE: u8 = 1;
/// As the filling tool does it.
const OLD_ONE_IN: usize = 100;
