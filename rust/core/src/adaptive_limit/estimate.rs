//! The estimate of the limit, from latencies and drops.

use super::settings::{Algorithm, Settings};
use super::window::{self, Latency, Window};
use crate::clock::Nanos;

/// The result of a call, as the estimate sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It succeeded, and its latency counts.
    Completed,
    /// It timed out, was refused, or failed as overload does.
    Dropped,
    /// It teaches nothing.
    Nothing,
}

/// The number of windows between measurements while the idle latency is unknown.
const WINDOWS_UNSETTLED: u32 = 20;
/// The factor by which two measurements of a known idle latency differ at most.
const SETTLED: f64 = 1.15;
/// The largest share of the limit that one window takes away.
const LEAST_GRADIENT: f64 = 0.5;
/// The number of windows after which a probe is given up.
const PROBE_WINDOWS: u64 = 20;

/// A measurement of the idle latency, with half the limit.
#[derive(Debug, Clone, Copy)]
struct Probe {
    size: u32,
    /// The time when it ends, with the calls seen until then.
    until: Nanos,
    /// The time from which ending calls count: some time after the number of calls fell to the limit, so that calls from
    /// before have mostly ended. (Counting only calls that began since would leave out long ones.)
    measures_from: Option<Nanos>,
}

/// The limit and its data, without places or locks.
#[derive(Debug)]
pub(super) struct Estimate {
    pub(super) settings: Settings,
    pub(super) limit: f64,
    window: Window,
    /// The latency of an idle server, in nanoseconds; zero: unknown.
    pub(super) baseline: f64,
    /// The latency in the last window, in nanoseconds; zero: unknown.
    pub(super) latency: f64,
    pub(super) dropped: u64,
    probe: Option<Probe>,
    probed_at: Nanos,
    /// The limit at the last measurement of the idle latency.
    probed_limit: f64,
    settled: bool,
    windows: u32,
}

impl Estimate {
    pub(super) fn new(settings: Settings) -> Self {
        let limit = settings.clamp(f64::from(settings.initial));
        Self {
            settings,
            limit,
            window: Window::new(0),
            baseline: 0.0,
            latency: 0.0,
            dropped: 0,
            probe: None,
            probed_at: 0,
            probed_limit: limit,
            settled: false,
            windows: 0,
        }
    }

    /// The number of calls that may run now.
    pub(super) fn size(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what settings allow")]
        let limit = self.limit as u32;
        self.probe.map_or(limit, |probe| probe.size).max(1)
    }

    pub(super) fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Sets the limit.
    pub(super) fn set_limit(&mut self, limit: f64) {
        self.limit = self.settings.clamp(limit);
        self.probed_limit = self.limit;
        self.probe = None;
        self.settled = false;
        self.windows = 0;
        self.window = Window::new(0);
    }

    /// Applies other settings; the limit stays as far as they allow.
    pub(super) fn replace(&mut self, settings: Settings) {
        self.settings = settings;
        self.limit = settings.clamp(self.limit);
        self.probe = None;
    }

    /// Records a call that had its place since `entered`; `running` still counts it.
    pub(super) fn observe(&mut self, signal: Signal, entered: Nanos, running: u32, now: Nanos) {
        if self.window.began == 0 {
            self.window = Window::new(entered.max(1));
            self.probed_at = now;
        }
        let latency = now.saturating_sub(entered);
        let slow = signal == Signal::Completed && self.settings.slow_call.is_some_and(|slow| latency > slow);
        let dropped = slow || signal == Signal::Dropped;
        self.dropped += u64::from(dropped);
        self.window.saw_running(running);
        if let Some(probe) = &mut self.probe {
            if now >= probe.until {
                self.learn(now);
                return;
            }
            if probe.measures_from.is_none() && running <= probe.size {
                probe.measures_from = Some(now.saturating_add(window::length(self.latency)));
            }
            if probe.measures_from.is_none_or(|from| now < from) {
                self.window = Window::new(now);
                return;
            }
        }
        if dropped {
            self.window.dropped();
        } else if signal == Signal::Completed {
            self.window.completed(latency);
        } else {
            return;
        }
        if self.window.is_over(self.latency, now) && (self.probe.is_none() || self.window.is_precise()) {
            self.learn(now);
        }
    }

    fn learn(&mut self, now: Nanos) {
        let window = std::mem::replace(&mut self.window, Window::new(now));
        let latency = window.latency();
        self.latency = latency.map_or(self.latency, |latency| latency.mean);
        let overloaded = window.dropped_more_than(self.settings.tolerated_drops);
        if self.probe.is_some() {
            if let Some(latency) = latency.filter(|_| !overloaded) {
                // Too high by chance is better than too low: then the limit is a little too large, not far too small.
                self.settled = self.baseline > 0.0 && (latency.above / self.baseline).ln().abs() < SETTLED.ln();
                self.baseline = latency.above;
            }
            self.end_probe(now);
            return;
        }
        // While fewer calls run than may, a larger limit would be a guess.
        let is_used = u64::from(window.most_running) * 2 >= u64::from(self.size());
        let limit = if overloaded {
            self.limit * self.settings.backoff
        } else {
            match (self.settings.algorithm, latency) {
                (Algorithm::Aimd, _) if is_used => self.limit + 1.0,
                (Algorithm::Gradient, Some(latency)) => self.by_gradient(latency, is_used),
                _ => self.limit,
            }
        };
        self.limit = self.settings.clamp(limit);
        self.windows = self.windows.saturating_add(1);
        if self.settings.algorithm == Algorithm::Gradient && self.is_due(now) {
            self.begin_probe(now);
        }
    }

    /// The limit for a latency. A latency that differs from the idle one only by chance keeps the limit, so that
    /// noise moves it neither way.
    fn by_gradient(&mut self, latency: Latency, is_used: bool) -> f64 {
        if self.baseline == 0.0 {
            self.baseline = latency.mean;
        } else if latency.high < self.baseline {
            self.baseline = latency.high;
        }
        if !is_used {
            return self.limit;
        }
        let gradient = self.settings.tolerance * self.baseline / latency.low;
        let wanted =
            if gradient >= 1.0 { self.limit + self.limit.sqrt() } else { self.limit * gradient.max(LEAST_GRADIENT) };
        self.limit + self.settings.smoothing * (wanted - self.limit)
    }

    /// Whether to measure the idle latency: it was long ago, it is not well known yet, or calls take so much
    /// longer that it may have changed.
    fn is_due(&self, now: Nanos) -> bool {
        let after = if self.settled { self.settings.probe_every } else { 0 };
        let halved = self.limit <= self.probed_limit / 2.0;
        let unsettled = !self.settled && self.windows >= WINDOWS_UNSETTLED;
        halved || unsettled || (after > 0 && now.saturating_sub(self.probed_at) >= after)
    }

    fn begin_probe(&mut self, now: Nanos) {
        let size = (self.size() / 2).max(self.settings.min).max(1);
        let until = now.saturating_add(PROBE_WINDOWS.saturating_mul(window::length(self.latency)));
        self.probe = Some(Probe { size, until, measures_from: None });
    }

    fn end_probe(&mut self, now: Nanos) {
        self.probe = None;
        self.probed_at = now;
        self.probed_limit = self.limit;
        self.windows = 0;
        self.window = Window::new(now);
    }
}
