//! How many exchanges a worker may start: so many a second, a few of them at once.
//!
//! The number of places alone would not do. A fast lane empties them as quickly as a flood fills them, and the core would
//! spend half of its time on exchanges while plain requests queue behind them.

use std::time::{Duration, Instant};

/// A bucket that fills steadily.
pub(super) struct Budget {
    /// Time that one exchange takes to come in.
    one: Duration,
    /// Time that may be saved.
    most: Duration,
    /// Time that may be spent now.
    left: Duration,
    filled_at: Option<Instant>,
}

impl Budget {
    pub(super) fn new(rate: u64, at_once: u32) -> Self {
        let one = Duration::from_nanos(1_000_000_000 / rate.clamp(1, 1_000_000_000));
        Self {
            one,
            most: one * at_once.max(1),
            left: one * at_once.max(1),
            filled_at: None,
        }
    }

    /// Whether one may be started now.
    pub(super) fn has_one(&mut self, now: Instant) -> bool {
        let since = self.filled_at.unwrap_or(now);
        self.left = self
            .most
            .min(self.left + now.saturating_duration_since(since));
        self.filled_at = Some(now);
        self.left >= self.one
    }

    /// Starts one.
    pub(super) fn spend_one(&mut self) {
        self.left = self.left.saturating_sub(self.one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(budget: &mut Budget, now: Instant) -> u64 {
        let mut started = 0;
        while budget.has_one(now) {
            budget.spend_one();
            started += 1;
        }
        started
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn flood_takes_more_than_the_rate() {
        let mut budget = Budget::new(2_000, 8);
        let start = Instant::now();
        assert_eq!(started(&mut budget, start), 8);
        assert_eq!(started(&mut budget, start), 0);
        assert_eq!(started(&mut budget, start + millis(1)), 2);
        let steps = (2..1_002).map(|step| started(&mut budget, start + millis(step)));
        assert_eq!(steps.sum::<u64>(), 2_000);
        let later = start + millis(60_000);
        assert_eq!(started(&mut budget, later), 8, "what is saved is bounded");
    }

    #[test]
    fn slow_rate_never_starts_anything() {
        let mut budget = Budget::new(1, 1);
        let start = Instant::now();
        assert_eq!(started(&mut budget, start), 1);
        assert_eq!(started(&mut budget, start + millis(999)), 0);
        assert_eq!(started(&mut budget, start + millis(1_000)), 1);
    }
}
