//! Binding of [`corten_core::circuit_breaker`].

use std::sync::Arc;

use corten_core::circuit_breaker::{
    Change, CircuitBreaker as Core, Listen, Listener, Rates, Settings, Span, State, Tally,
};
use corten_core::clock::{Clock as _, nanos_from_seconds, seconds_from_nanos};
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::clock::Clock;

/// The state of one circuit breaker, kept when its pipeline is compiled again.
#[pyclass(frozen, weakref, module = "corten._core")]
pub(crate) struct CircuitBreaker {
    pub(crate) inner: Arc<Core>,
    name: String,
    /// The text of refusals without secrets, kept until the core's text changes.
    reason: Mutex<Option<(Arc<str>, Py<PyString>)>>,
}

type Numbers = (u32, f64, u32, u32, f64, f64, f64, Option<f64>);
type Window = (Option<u32>, f64, u32, Option<f64>, Option<f64>);
type Seen = (
    &'static str,
    u32,
    (u32, u32, u32, Option<f64>, Option<f64>),
    u64,
    u64,
    Option<f64>,
    Option<String>,
    Option<String>,
);

#[pymethods]
impl CircuitBreaker {
    /// `numbers`: failures, open for, half-open calls, successes, growth, max open for, max half open, slow call. `window`:
    /// calls or else seconds, the least number of calls, failure rate, slow rate. Refusals contain `name`.
    #[new]
    #[pyo3(signature = (numbers, window=None, name=String::new()))]
    fn new(numbers: Numbers, window: Option<Window>, name: String) -> Self {
        Self { inner: Arc::new(Core::new(settings(numbers, window))), name, reason: Mutex::new(None) }
    }

    /// Apply other settings.
    #[pyo3(signature = (numbers, window=None))]
    fn replace(&self, numbers: Numbers, window: Option<Window>) {
        self.inner.replace(settings(numbers, window));
    }

    /// Set the state by hand.
    fn set(&self, state: &str, clock: &Clock) -> PyResult<()> {
        let found = State::from_word(state).ok_or_else(|| {
            PyValueError::new_err(format!(
                "a circuit breaker is never {state:?}: it is closed, open, half_open, forced_open, disabled or \
                 metrics_only"
            ))
        })?;
        self.inner.set(found, clock.inner.now());
        Ok(())
    }

    /// Close it, and forget all but the times that it opened and refused.
    fn reset(&self, clock: &Clock) {
        self.inner.reset(clock.inner.now());
    }

    /// State, failures in a row, the window (calls, failed, slow, failure rate, slow rate), the times that it
    /// opened and refused, seconds until it is half open (None unless it is open), the reason, the last failure.
    fn statistics(&self, clock: &Clock) -> Seen {
        let now = clock.inner.now();
        let seen = self.inner.statistics(now);
        let left = (seen.state == State::Open).then(|| seconds_from_nanos(seen.open_until.saturating_sub(now)));
        let Tally { calls, failed, slow } = seen.window.unwrap_or_default();
        let rates = seen.window.map(|tally| (tally.failure_rate(), tally.slow_rate())).unwrap_or_default();
        (
            seen.state.word(),
            seen.failures,
            (calls, failed, slow, rates.0, rates.1),
            seen.opened,
            seen.refused,
            left,
            seen.opened_by.map(|cause| cause.text()),
            seen.last_failure.map(|words| words.to_string()),
        )
    }

    /// Call `listener(before, after, reason, failure)` at each change of state; None: no listener.
    fn listen(&self, listener: Option<Py<PyAny>>) {
        self.inner.listen(listener.map(|callback| Arc::new(Callback(callback)) as Listener));
    }
}

impl CircuitBreaker {
    /// The text of a refusal: why it opened, and the last failure without secrets.
    pub(crate) fn reason(&self, py: Python<'_>) -> PyResult<Py<PyString>> {
        let text = self.inner.explain();
        if let Some((known, shown)) = self.reason.lock().as_ref()
            && Arc::ptr_eq(known, &text)
        {
            return Ok(shown.clone_ref(py));
        }
        static REDACT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let named = match text.strip_prefix("the circuit") {
            Some(rest) if !self.name.is_empty() => format!("the circuit '{}'{rest}", self.name),
            _ => text.to_string(),
        };
        let redacted = REDACT.import(py, "corten.secrets", "redact")?.call1((named,))?;
        let shown = redacted.cast_into::<PyString>()?.unbind();
        let before = self.reason.lock().replace((text, shown.clone_ref(py)));
        drop(before); // outside the lock
        Ok(shown)
    }
}

/// A Python callable as a listener.
#[derive(Debug)]
struct Callback(Py<PyAny>);

impl Listen for Callback {
    fn changed(&self, change: &Change) {
        Python::attach(|py| {
            let failure = change.failure.as_deref();
            let told = (change.before.word(), change.after.word(), change.cause.text(), failure);
            if let Err(error) = self.0.call1(py, told) {
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}

fn settings(numbers: Numbers, window: Option<Window>) -> Settings {
    let (failures, open_for, half_open_calls, successes, growth, max_open_for, max_half_open, slow_call) = numbers;
    let rates = window.map(|(calls, seconds, min_calls, failure_rate, slow_rate)| Rates {
        span: calls.map_or_else(|| Span::Time(nanos_from_seconds(seconds)), Span::Calls),
        min_calls,
        failure_rate,
        slow_rate,
    });
    Settings {
        failures,
        rates,
        slow_call: slow_call.map(nanos_from_seconds),
        open_for: nanos_from_seconds(open_for),
        growth,
        max_open_for: nanos_from_seconds(max_open_for),
        half_open_calls,
        successes,
        max_half_open: nanos_from_seconds(max_half_open),
    }
}
