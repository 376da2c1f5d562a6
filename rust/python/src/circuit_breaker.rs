//! Binding of [`corten_core::circuit_breaker`].

use std::sync::Arc;

use corten_core::circuit_breaker::{Change, CircuitBreaker as Core, Listen, Listener, Settings, State};
use corten_core::clock::{Clock as _, nanos_from_seconds, seconds_from_nanos};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::clock::Clock;

/// The state of one circuit breaker, kept when the pipeline around it is compiled again.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct CircuitBreaker {
    pub(crate) inner: Arc<Core>,
}

#[pymethods]
impl CircuitBreaker {
    #[new]
    fn new(failures: u32, wait: f64, trials: u32) -> Self {
        Self { inner: Arc::new(Core::new(settings(failures, wait, trials))) }
    }

    /// Other settings from now on.
    fn replace(&self, failures: u32, wait: f64, trials: u32) {
        self.inner.replace(settings(failures, wait, trials));
    }

    /// Puts it into a state by hand.
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

    /// State, failures in a row, how often it opened, and seconds until it is half open (None unless it is open).
    fn statistics(&self, clock: &Clock) -> (&'static str, u32, u64, Option<f64>) {
        let seen = self.inner.statistics();
        let left =
            (seen.state == State::Open).then(|| seconds_from_nanos(seen.open_until.saturating_sub(clock.inner.now())));
        (seen.state.word(), seen.failures, seen.opened, left)
    }

    /// Has `listener(before, after)` called at each change of state; None: nobody.
    fn listen(&self, listener: Option<Py<PyAny>>) {
        self.inner.listen(listener.map(|callback| Arc::new(Callback(callback)) as Listener));
    }
}

/// A Python callable as a listener.
#[derive(Debug)]
struct Callback(Py<PyAny>);

impl Listen for Callback {
    fn changed(&self, change: Change) {
        Python::attach(|py| {
            if let Err(error) = self.0.call1(py, (change.before.word(), change.after.word())) {
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}

fn settings(failures: u32, wait: f64, trials: u32) -> Settings {
    Settings { failures, wait: nanos_from_seconds(wait), trials }
}
