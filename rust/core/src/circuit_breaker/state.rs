//! The breaker's states and transitions, under the lock.

use std::sync::Arc;

use super::gate::Ticket;
use super::window::{Tally, Window};
use super::{Admission, Cause, Change, Permit, Report, Settings, Statistics, Verdict};
use crate::clock::Nanos;

/// The states of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused for a while.
    Open,
    /// Some calls pass; they decide.
    HalfOpen,
    /// Calls are refused until a change by hand.
    ForcedOpen,
    /// Calls pass and nothing is counted.
    Disabled,
    /// Calls pass and are counted, but nothing opens it.
    MetricsOnly,
}

impl State {
    /// The state's name as settings, metrics and events spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }

    /// The state of that name.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::Disabled, Self::MetricsOnly]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

#[derive(Debug)]
pub(super) struct Inner {
    settings: Settings,
    /// Changes that the holder of the lock has to report.
    pub(super) changes: Vec<Change>,
    state: State,
    generation: u32,
    window: Option<Window>,
    /// Failures in a row.
    failures: u32,
    opened: u64,
    refused: u64,
    open_until: Nanos,
    /// Its last open time.
    open_for: Nanos,
    /// Times that it opened again before it was closed long enough.
    streak: u32,
    /// The time when it last closed; zero: it was never open.
    closed_at: Nanos,
    /// Half-open calls under way.
    half_open_calls: u32,
    successes: u32,
    /// The time when the last half-open call ended, or the first running one began.
    heard_at: Nanos,
    /// The first of the last half-open periods in which no call ended; zero: a call ended in the last one.
    silent_since: u32,
    /// Why it last opened, and the failure that caused it.
    opened_by: Option<(Cause, Option<Arc<str>>)>,
    last_failure: Option<Arc<str>>,
    /// The text of refusals, made when first needed.
    explained: Option<Arc<str>>,
}

impl Inner {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            changes: Vec::new(),
            state: State::Closed,
            generation: 1,
            window: settings.rates.map(|rates| Window::new(rates.span)),
            failures: 0,
            opened: 0,
            refused: 0,
            open_until: 0,
            open_for: 0,
            streak: 0,
            closed_at: 0,
            half_open_calls: 0,
            successes: 0,
            heard_at: 0,
            silent_since: 0,
            opened_by: None,
            last_failure: None,
            explained: None,
        }
    }

    /// The ticket for calls without the lock.
    pub(super) fn ticket(&self) -> Ticket {
        match self.state {
            State::Closed | State::MetricsOnly => Ticket::new(self.permit(), self.success_matters()),
            State::Disabled => Ticket::new(self.permit(), false),
            State::Open | State::HalfOpen | State::ForcedOpen => Ticket::ASK,
        }
    }

    /// Whether a success may change more than its count: it ends a row of failures, or it is the call with
    /// which there are enough to decide.
    fn success_matters(&self) -> bool {
        let tally = self.tally();
        let few = self.settings.rates.is_some_and(|rates| tally.calls < rates.min_calls);
        self.failures > 0 || few && (tally.failed > 0 || tally.slow > 0)
    }

    fn permit(&self) -> Permit {
        let counted = self.window.is_some() && matches!(self.state, State::Closed | State::MetricsOnly);
        Permit::new(self.generation, counted, false)
    }

    fn tally(&self) -> Tally {
        self.window.as_ref().map_or_else(Tally::default, Window::tally)
    }

    /// The time until which successes may be recorded later, by `absorb`.
    pub(super) fn until(&self) -> Nanos {
        self.window.as_ref().map_or(Nanos::MAX, Window::until)
    }

    pub(super) fn absorb(&mut self, successes: u32) {
        if let Some(window) = &mut self.window
            && successes > 0
        {
            window.absorb(successes);
        }
    }

    pub(super) fn admit(&mut self, now: Nanos) -> Admission {
        if self.state == State::Open && now >= self.open_until {
            self.enter(State::HalfOpen, Cause::Waited(self.open_for), now);
        }
        if self.state == State::HalfOpen {
            self.look_at_half_open_calls(now);
        }
        let refusal = match self.state {
            State::Closed | State::Disabled | State::MetricsOnly => return Admission::Admitted(self.permit()),
            State::HalfOpen if self.half_open_calls < self.settings.half_open_calls.max(1) => {
                if self.half_open_calls == 0 {
                    self.heard_at = now;
                }
                self.half_open_calls += 1;
                return Admission::Admitted(Permit::new(self.generation, false, true));
            }
            State::HalfOpen | State::ForcedOpen => None,
            State::Open => Some(self.open_until - now),
        };
        self.refused += 1;
        Admission::Refused(refusal)
    }

    /// A call has come while it is half open: is it still?
    fn look_at_half_open_calls(&mut self, now: Nanos) {
        let silent_at = self.heard_at.saturating_add(self.settings.max_half_open);
        if self.successes >= self.settings.successes.max(1) {
            // Fewer successes are needed than when it began, and no half-open call is running that would report it.
            self.enter(State::Closed, Cause::HalfOpenSucceeded(self.successes), now);
        } else if self.half_open_calls > 0 && now >= silent_at {
            self.open(Cause::HalfOpenSilent(self.settings.max_half_open), None, silent_at);
            if now >= self.open_until {
                self.enter(State::HalfOpen, Cause::Waited(self.open_for), now);
            }
        }
    }

    pub(super) fn record(&mut self, permit: Permit, verdict: Verdict, report: Report<'_>, now: Nanos) {
        if permit.generation() != self.generation {
            self.hear_late(permit, verdict, report, now);
            return;
        }
        if verdict == Verdict::Failure && self.state != State::Disabled {
            self.failures = self.failures.saturating_add(1);
            self.last_failure = report.words.map(Arc::from);
        }
        match self.state {
            State::Closed | State::MetricsOnly if verdict != Verdict::Nothing => self.count(verdict, report, now),
            State::HalfOpen => self.end_half_open_call(verdict, report, now),
            _ => {}
        }
    }

    /// Records a half-open call that ended after it was given up: a success counts as one in time. Otherwise calls that
    /// take longer than `max_half_open` could never close it.
    fn hear_late(&mut self, permit: Permit, verdict: Verdict, report: Report<'_>, now: Nanos) {
        let awaited = permit.is_half_open() && self.silent_since > 0 && permit.generation() >= self.silent_since;
        if awaited && verdict == Verdict::Success && !self.is_slow(report) {
            if self.state == State::Open {
                self.enter(State::HalfOpen, Cause::HalfOpenLate, now);
            }
            self.half_open_call_succeeded(now);
        }
    }

    fn is_slow(&self, report: Report<'_>) -> bool {
        self.settings.slow_call.is_some_and(|limit| report.took > limit)
    }

    fn count(&mut self, verdict: Verdict, report: Report<'_>, now: Nanos) {
        let failed = verdict == Verdict::Failure;
        if !failed {
            self.failures = 0;
        }
        let slow = self.is_slow(report);
        if let Some(window) = &mut self.window {
            window.roll(now);
            window.push(failed, slow);
        }
        if self.state == State::Closed
            && let Some(cause) = self.reached()
        {
            self.open(cause, report.retry_after, now);
        }
    }

    /// The cause to open it for, if there is one.
    fn reached(&self) -> Option<Cause> {
        let Settings { failures, rates, slow_call, .. } = self.settings;
        if failures > 0 && self.failures >= failures {
            return Some(Cause::InARow(self.failures));
        }
        let (tally, rates) = (self.tally(), rates?);
        if tally.calls < rates.min_calls {
            return None;
        }
        let at_least =
            |rate: Option<f64>, limit: Option<f64>| rate.zip(limit).is_some_and(|(rate, limit)| rate >= limit);
        if at_least(tally.failure_rate(), rates.failure_rate) {
            return Some(Cause::FailureRate(tally.failed, tally.calls));
        }
        at_least(tally.slow_rate(), rates.slow_rate).then_some(Cause::SlowRate(
            tally.slow,
            tally.calls,
            slow_call.unwrap_or(0),
        ))
    }

    fn end_half_open_call(&mut self, verdict: Verdict, report: Report<'_>, now: Nanos) {
        self.half_open_calls = self.half_open_calls.saturating_sub(1);
        self.heard_at = now;
        match verdict {
            Verdict::Success if self.is_slow(report) => {
                self.open(Cause::HalfOpenSlow(report.took), None, now);
            }
            Verdict::Success => self.half_open_call_succeeded(now),
            Verdict::Failure => self.open(Cause::HalfOpenFailed, report.retry_after, now),
            Verdict::Nothing => {}
        }
    }

    fn half_open_call_succeeded(&mut self, now: Nanos) {
        self.failures = 0;
        self.successes += 1;
        if self.successes >= self.settings.successes.max(1) {
            self.enter(State::Closed, Cause::HalfOpenSucceeded(self.successes), now);
        }
    }

    /// Opens it; for longer if it was not closed long enough since the last time.
    fn open(&mut self, cause: Cause, retry_after: Option<Nanos>, now: Nanos) {
        let well =
            self.state == State::Closed && (self.closed_at == 0 || now.saturating_sub(self.closed_at) >= self.open_for);
        self.streak = if well { 0 } else { self.streak.saturating_add(1) };
        self.open_for = self.settings.open_for(self.streak, retry_after);
        self.open_until = now.saturating_add(self.open_for);
        let silent_since = match cause {
            Cause::HalfOpenSilent(_) if self.silent_since > 0 => self.silent_since,
            Cause::HalfOpenSilent(_) => self.generation,
            _ => 0,
        };
        self.enter(State::Open, cause, now);
        self.silent_since = silent_since;
    }

    /// Sets the state by hand.
    pub(super) fn set(&mut self, state: State, now: Nanos) {
        if state == State::Open {
            self.streak = 0;
            self.open_for = self.settings.open_for;
            self.open_until = now.saturating_add(self.open_for);
        }
        self.enter(state, Cause::ByHand, now);
    }

    /// Closes it and forgets all but the times that it opened and refused.
    pub(super) fn reset(&mut self, now: Nanos) {
        self.enter(State::Closed, Cause::ByHand, now);
        self.streak = 0;
        self.closed_at = 0;
        self.open_for = 0;
        self.last_failure = None;
        self.opened_by = None;
    }

    /// Applies other settings; the window stays if it has the same kind and size.
    pub(super) fn replace(&mut self, settings: Settings) {
        let span = |settings: Settings| settings.rates.map(|rates| rates.span);
        let same = span(settings) == span(self.settings);
        self.settings = settings;
        if !same {
            self.window = span(settings).map(Window::new);
            if matches!(self.state, State::Closed | State::MetricsOnly) {
                // Permits say whether they are counted: earlier ones are not.
                self.next_generation();
            }
        }
    }

    pub(super) fn statistics(&mut self, now: Nanos) -> Statistics {
        if let Some(window) = &mut self.window
            && matches!(self.state, State::Closed | State::MetricsOnly)
        {
            window.roll(now);
        }
        Statistics {
            state: self.state,
            failures: self.failures,
            window: self.window.as_ref().map(Window::tally),
            opened: self.opened,
            refused: self.refused,
            open_until: if self.state == State::Open { self.open_until } else { 0 },
            opened_by: self.opened_by.as_ref().map(|(cause, _)| *cause),
            last_failure: self.last_failure.clone(),
        }
    }

    /// The reason of refusals now.
    pub(super) fn explain(&mut self) -> Arc<str> {
        if let Some(text) = &self.explained {
            return Arc::clone(text);
        }
        let mut text = String::from(match self.state {
            State::HalfOpen => "the circuit is half open and its calls are under way",
            _ => "the circuit is open",
        });
        if self.state == State::ForcedOpen {
            text = format!("{text}: {}", Cause::ByHand.text());
        } else if let Some((cause, failure)) = &self.opened_by {
            let before = if self.state == State::HalfOpen { "; it opened after" } else { ":" };
            text = format!("{text}{before} {}", cause.text());
            if let Some(failure) = failure {
                text = format!("{text}; last failure: {failure}");
            }
        }
        let text: Arc<str> = Arc::from(text);
        self.explained = Some(Arc::clone(&text));
        text
    }

    fn enter(&mut self, state: State, cause: Cause, now: Nanos) {
        let failure = if cause.is_failure() { self.last_failure.clone() } else { None };
        if state == State::Open {
            self.opened += 1;
            self.opened_by = Some((cause, failure.clone()));
        }
        if state != self.state {
            self.changes.push(Change { before: self.state, after: state, at: now, cause, failure });
        }
        if state == State::Closed && matches!(self.state, State::Open | State::HalfOpen | State::ForcedOpen) {
            self.closed_at = now;
        }
        self.state = state;
        self.next_generation();
        self.half_open_calls = 0;
        self.successes = 0;
        self.explained = None;
        if !matches!(cause, Cause::Waited(_) | Cause::HalfOpenLate) {
            self.silent_since = 0;
        }
        // The counts that opened it stay visible while it is open.
        if !matches!(state, State::Open | State::HalfOpen) {
            self.failures = 0;
            if let Some(window) = &mut self.window {
                window.clear();
            }
        }
    }

    /// Stops counting the results of calls admitted so far.
    fn next_generation(&mut self) {
        self.generation = self.generation % Permit::LAST_GENERATION + 1;
    }
}
