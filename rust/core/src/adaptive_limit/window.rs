//! What was seen of the calls that ended within some time.

use crate::clock::Nanos;

/// Fewer calls say nothing.
const MIN_CALLS: u32 = 10;
/// A window lasts at least so long: below that, clocks and schedulers are what is measured.
const MIN_LENGTH: Nanos = 10_000_000;

/// Calls that ended within some time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    pub(super) began: Nanos,
    completed: u32,
    dropped: u32,
    /// Latencies are added up as logarithms: of a hundred calls a single one of ten seconds moves their geometric mean
    /// by a little, the arithmetic one by a hundred milliseconds; where all wait in one queue both grow alike.
    sum: f64,
    sum_of_squares: f64,
    pub(super) most_running: u32,
}

/// The geometric mean of latencies in nanoseconds, and between what bounds the true one is likely to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Latency {
    pub(super) mean: f64,
    /// One standard error below.
    pub(super) low: f64,
    /// One above.
    pub(super) above: f64,
    /// Three above.
    pub(super) high: f64,
}

impl Window {
    pub(super) fn new(began: Nanos) -> Self {
        Self { began, ..Self::default() }
    }

    pub(super) fn saw_running(&mut self, running: u32) {
        self.most_running = self.most_running.max(running);
    }

    pub(super) fn completed(&mut self, latency: Nanos) {
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of latencies are far below 2^52")]
        let logarithm = (latency.max(1) as f64).ln();
        self.completed += 1;
        self.sum += logarithm;
        self.sum_of_squares += logarithm * logarithm;
    }

    pub(super) fn dropped(&mut self) {
        self.dropped += 1;
    }

    /// Whether it has lasted two latencies, so that at least half of its calls began in it, and has seen enough.
    pub(super) fn is_over(&self, latency: f64, now: Nanos) -> bool {
        self.completed + self.dropped >= MIN_CALLS && now.saturating_sub(self.began) >= length(latency)
    }

    /// Whether it has seen enough to say within a tenth what calls take, or as much as one may wait for.
    pub(super) fn is_precise(&self) -> bool {
        const ENOUGH: u32 = 200;
        self.completed >= ENOUGH || self.error().is_some_and(|(_, error)| error <= 0.1)
    }

    /// Whether more calls were dropped than that part, by more than chance.
    pub(super) fn dropped_more_than(&self, part: f64) -> bool {
        let expected = part * f64::from(self.completed + self.dropped);
        f64::from(self.dropped) > expected + expected.sqrt()
    }

    /// None where too few calls completed to say.
    pub(super) fn latency(&self) -> Option<Latency> {
        let (mean, error) = self.error()?;
        Some(Latency {
            mean: mean.exp(),
            low: (mean - error).exp(),
            above: (mean + error).exp(),
            high: (mean + 3.0 * error).exp(),
        })
    }

    /// The mean logarithm and its standard error.
    fn error(&self) -> Option<(f64, f64)> {
        if self.completed < MIN_CALLS / 2 {
            return None;
        }
        let count = f64::from(self.completed);
        let mean = self.sum / count;
        let variance = (self.sum_of_squares / count - mean * mean).max(0.0) * count / (count - 1.0);
        Some((mean, (variance / count).sqrt()))
    }
}

/// How long a window lasts at least where calls take that long.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(super) fn length(latency: f64) -> Nanos {
    MIN_LENGTH.max((2.0 * latency) as Nanos)
}
