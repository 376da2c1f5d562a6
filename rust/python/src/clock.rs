//! Binding of [`corten_core::clock`].

use std::sync::Arc;

use corten_core::clock::{AnyClock, Clock as _, FakeClock, SystemClock, nanos_from_seconds, seconds_from_nanos};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The clock of an argument: a `corten.clock.Clock`, or the compiled clock inside of it.
pub(crate) fn clock_of(clock: Option<&Bound<'_, PyAny>>) -> PyResult<AnyClock> {
    let Some(clock) = clock else { return Ok(AnyClock::System(SystemClock)) };
    let core = match clock.cast::<Clock>() {
        Ok(core) => core.clone(),
        Err(_) => clock.getattr("core")?.cast_into::<Clock>()?,
    };
    Ok(core.get().inner.clone())
}

/// Monotonic seconds: of the machine, or of a fake clock that only `advance` moves.
#[pyclass(frozen, module = "corten._core")]
pub(crate) struct Clock {
    pub(crate) inner: AnyClock,
}

#[pymethods]
impl Clock {
    #[new]
    fn new() -> Self {
        Self { inner: AnyClock::System(SystemClock) }
    }

    #[staticmethod]
    fn fake(start: f64) -> PyResult<Self> {
        if !(start > 0.0 && start.is_finite()) {
            return Err(PyValueError::new_err(format!("start must be a positive number of seconds, not {start}")));
        }
        Ok(Self { inner: AnyClock::Fake(Arc::new(FakeClock::new(nanos_from_seconds(start)))) })
    }

    fn now(&self) -> f64 {
        seconds_from_nanos(self.inner.now())
    }

    fn advance(&self, seconds: f64) -> PyResult<f64> {
        let AnyClock::Fake(clock) = &self.inner else {
            return Err(PyTypeError::new_err("only a fake clock can be advanced"));
        };
        if !(seconds >= 0.0 && seconds.is_finite()) {
            return Err(PyValueError::new_err(format!("time moves forward by a number of seconds, not {seconds}")));
        }
        let by = nanos_from_seconds(seconds);
        if clock.now().checked_add(by).is_none() {
            return Err(PyValueError::new_err("a clock goes on for 584 years and no longer"));
        }
        Ok(seconds_from_nanos(clock.advance(by)))
    }
}
