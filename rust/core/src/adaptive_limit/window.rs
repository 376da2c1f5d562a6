//! Windows: latencies and drops of the calls that ended within some time.

use crate::clock::Nanos;

/// The least number of calls that says anything.
const MIN_CALLS: u32 = 10;
/// The least length of a window; a shorter one would measure clocks and schedulers.
const MIN_LENGTH: Nanos = 10_000_000;

/// The calls that ended within some time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    pub(super) began: Nanos,
    completed: u32,
    dropped: u32,
    /// Latencies are added up as logarithms: one call of ten seconds among a hundred moves the geometric mean
    /// by a little, the arithmetic mean by a hundred milliseconds; when all wait in one queue, both grow alike.
    sum: f64,
    sum_of_squares: f64,
    pub(super) most_running: u32,
}

/// The geometric mean of latencies in nanoseconds, with bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Latency {
    pub(super) mean: f64,
    /// One standard error below the mean.
    pub(super) low: f64,
    /// One standard error above.
    pub(super) above: f64,
    /// Three standard errors above.
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

    /// Whether it has lasted two latencies, so that half of its calls began in it, and has enough calls.
    pub(super) fn is_over(&self, latency: f64, now: Nanos) -> bool {
        self.completed + self.dropped >= MIN_CALLS && now.saturating_sub(self.began) >= length(latency)
    }

    /// Whether it has enough calls to state the latency within a tenth, or has waited long enough.
    pub(super) fn is_precise(&self) -> bool {
        const ENOUGH: u32 = 200;
        self.completed >= ENOUGH || self.error().is_some_and(|(_, error)| error <= 0.1)
    }

    /// Whether more calls than a share were dropped, by more than chance.
    pub(super) fn dropped_more_than(&self, part: f64) -> bool {
        let expected = part * f64::from(self.completed + self.dropped);
        f64::from(self.dropped) > expected + expected.sqrt()
    }

    /// The mean latency; None: too few calls.
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

/// The least length of a window at a latency.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(super) fn length(latency: f64) -> Nanos {
    MIN_LENGTH.max((2.0 * latency) as Nanos)
}
