//! The limit, and how it follows what is seen.

use super::settings::{Algorithm, Settings};
use super::window::{self, Latency, Window};
use crate::clock::Nanos;

/// How calls said that they went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It did its work: its latency counts.
    Completed,
    /// It timed out, was refused, or failed in a way that overload does.
    Dropped,
    /// Nothing can be learned from it.
    Nothing,
}

/// While the idle latency is not known yet it is measured each time after so many windows.
const WINDOWS_UNSETTLED: u32 = 20;
/// It is known where a measurement differs from the last one by less than that factor.
const SETTLED: f64 = 1.15;
/// No single window takes away more than this part.
const LEAST_GRADIENT: f64 = 0.5;
/// A probe that has not ended after so many windows is given up.
const PROBE_WINDOWS: u64 = 20;

/// The idle latency is being measured: the limit is halved for a moment.
#[derive(Debug, Clone, Copy)]
struct Probe {
    size: u32,
    /// When it ends, with what was seen until then.
    until: Nanos,
    /// From when on calls that end are looked at: some time after no more of them run than are to, so that those from
    /// before it have mostly ended. (To look only at calls that began since would leave out the long ones.)
    measures_from: Option<Nanos>,
}

/// The limit and all that it rests on. Knows nothing of places or locks.
#[derive(Debug)]
pub(super) struct Estimate {
    pub(super) settings: Settings,
    pub(super) limit: f64,
    window: Window,
    /// What calls take when the server is idle, in nanoseconds; zero: not known.
    pub(super) baseline: f64,
    /// What calls took in the last window, in nanoseconds; zero: not known.
    pub(super) latency: f64,
    pub(super) dropped: u64,
    probe: Option<Probe>,
    probed_at: Nanos,
    /// The limit when the idle latency was measured last.
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

    /// How many calls may run now.
    pub(super) fn size(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what settings allow")]
        let limit = self.limit as u32;
        self.probe.map_or(limit, |probe| probe.size).max(1)
    }

    pub(super) fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Goes on from that limit.
    pub(super) fn set_limit(&mut self, limit: f64) {
        self.limit = self.settings.clamp(limit);
        self.probed_limit = self.limit;
        self.probe = None;
        self.settled = false;
        self.windows = 0;
        self.window = Window::new(0);
    }

    /// Other settings from now on: the limit stays as far as they allow.
    pub(super) fn replace(&mut self, settings: Settings) {
        self.settings = settings;
        self.limit = settings.clamp(self.limit);
        self.probe = None;
    }

    /// A call ended that had its place since `entered`; `running` counts it still.
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
                // Too high rather than too low by chance: then the limit is a little too large, not far too small.
                self.settled = self.baseline > 0.0 && (latency.above / self.baseline).ln().abs() < SETTLED.ln();
                self.baseline = latency.above;
            }
            self.end_probe(now);
            return;
        }
        // Where nobody wants more, a larger limit would be a guess.
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

    /// The limit that this latency speaks for. Where that differs from the idle one by no more than chance, it is the
    /// same: so noise moves the limit neither way.
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

    /// Whether the idle latency is to be measured: it has been long ago, it is not known well yet, or calls take so much
    /// longer that it may have changed itself.
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
