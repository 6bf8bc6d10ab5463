//! What was counted while loads ran, slice by slice, and what of it was whose.

use hdrhistogram::Histogram;

use crate::flood::times;

/// What was counted in a slice of time, or in several of a kind.
#[derive(Clone)]
pub struct Slice {
    /// How long it lasted.
    pub seconds: f64,
    /// Answers to GETs.
    pub plain: f64,
    /// Answers to nonces, by the lane.
    pub live: f64,
    /// Answers to nonces for which the lane had no room.
    pub fell_back: f64,
    /// Nanoseconds that the serving thread has run.
    pub ran: f64,
    /// Nanoseconds that it has waited for its core.
    pub waited: f64,
    /// The same two of the GETs' client.
    pub client: [f64; 2],
    /// Seconds and number of answers by hufu's own histogram: from reading a request to its pre-signed answer.
    pub inside: [f64; 2],
    /// How long GETs took, nanoseconds.
    pub times: Histogram<u64>,
    /// How late they left, nanoseconds.
    pub late: Histogram<u64>,
}

impl Slice {
    /// One of no time.
    ///
    /// # Errors
    /// Never: the bounds of its histograms are constants.
    pub fn empty() -> std::io::Result<Self> {
        Ok(Self {
            seconds: 0.0,
            plain: 0.0,
            live: 0.0,
            fell_back: 0.0,
            ran: 0.0,
            waited: 0.0,
            client: [0.0; 2],
            inside: [0.0; 2],
            times: times()?,
            late: times()?,
        })
    }

    fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.plain += other.plain;
        self.live += other.live;
        self.fell_back += other.fell_back;
        self.ran += other.ran;
        self.waited += other.waited;
        for part in 0..2 {
            self.client[part] += other.client[part];
            self.inside[part] += other.inside[part];
        }
        self.times += &other.times;
        self.late += &other.late;
    }

    /// Microseconds within which that share of the GETs were answered.
    #[must_use]
    pub fn time_at(&self, quantile: f64) -> f64 {
        self.times.value_at_quantile(quantile) as f64 / 1e3
    }

    /// Microseconds by which that share of them left late at most.
    #[must_use]
    pub fn late_at(&self, quantile: f64) -> f64 {
        self.late.value_at_quantile(quantile) as f64 / 1e3
    }

    /// Microseconds from reading a request to its answer, in the mean.
    #[must_use]
    pub fn inside(&self) -> f64 {
        self.inside[0] / self.inside[1].max(1.0) * 1e6
    }
}

/// Slices of a kind: all of them together, and one by one.
pub struct Kind {
    /// Together.
    pub sum: Slice,
    /// One by one.
    pub each: Vec<Slice>,
}

impl Kind {
    /// None yet.
    ///
    /// # Errors
    /// Never, as [`Slice::empty`].
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            sum: Slice::empty()?,
            each: Vec::new(),
        })
    }

    /// One more.
    pub fn add(&mut self, slice: Slice) {
        self.sum.add(&slice);
        self.each.push(slice);
    }
}

/// What nonces cost the responder.
#[derive(Clone, Copy)]
pub struct Nonces {
    /// Nanoseconds for one that the lane answers.
    pub live: f64,
    /// Nanoseconds for one that it has no room for.
    pub fell_back: f64,
}

impl Nonces {
    /// From slices that hold nothing else: a trickle, all or nearly all of which the lane answers, and a torrent.
    #[must_use]
    pub fn of(trickle: &Slice, torrent: &Slice) -> Self {
        let determinant = trickle.live * torrent.fell_back - torrent.live * trickle.fell_back;
        if torrent.fell_back < FEWEST || determinant <= 0.0 {
            let ran = trickle.ran + torrent.ran;
            let answers = trickle.live + trickle.fell_back + torrent.live + torrent.fell_back;
            let cost = ran / answers.max(1.0);
            return Self {
                live: cost,
                fell_back: cost,
            };
        }
        // The two slices hardly mix them, so that this is no difference of large numbers.
        let live = trickle.ran * torrent.fell_back - torrent.ran * trickle.fell_back;
        let fell_back = trickle.live * torrent.ran - torrent.live * trickle.ran;
        Self {
            live: live / determinant,
            fell_back: fell_back / determinant,
        }
    }

    /// Nanoseconds that they took of a slice.
    #[must_use]
    pub fn in_slice(self, slice: &Slice) -> f64 {
        self.live * slice.live + self.fell_back * slice.fell_back
    }
}

/// Answers below which a mean says nothing.
const FEWEST: f64 = 100.0;

/// The median of some figures between its quartiles.
#[must_use]
pub fn quartiles(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    [1, 2, 3].map(|quarter| figures.get(last * quarter / 4).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(live: f64, fell_back: f64) -> Slice {
        let mut slice = Slice::empty().expect("bounds");
        slice.live = live;
        slice.fell_back = fell_back;
        slice.ran = 40.0 * live + 15.0 * fell_back;
        slice
    }

    #[test]
    fn nonces_are_charged_with_what_others_cost() {
        for (trickle, torrent) in [
            (slice(500.0, 0.0), slice(900.0, 1_100.0)),
            (slice(450.0, 50.0), slice(900.0, 1_100.0)),
        ] {
            let nonces = Nonces::of(&trickle, &torrent);
            assert!((nonces.live - 40.0).abs() < 1e-6, "{}", nonces.live);
            assert!((nonces.fell_back - 15.0).abs() < 1e-6);
            let mut flooded = slice(300.0, 1_700.0);
            flooded.ran += 10.0 * 8_000.0;
            let plain = flooded.ran - nonces.in_slice(&flooded);
            assert!((plain / 8_000.0 - 10.0).abs() < 1e-6);
        }
        // With room for all of them there is one cost.
        let nonces = Nonces::of(&slice(500.0, 0.0), &slice(2_000.0, 0.0));
        assert!((nonces.live - 40.0).abs() < 1e-6);
    }

    #[test]
    fn one_round_that_was_disturbed_decides() {
        let [low, median, high] = quartiles(vec![1.0, 9.0, 1.1, 1.2, 0.9]);
        assert!(low <= median && median <= high && high < 2.0);
        assert!((median - 1.1).abs() < 1e-9);
    }
}
