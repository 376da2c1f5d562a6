//! What the last error of several attempts says about them.

use corten_core::clock::{Nanos, seconds_from_nanos};
use corten_core::pipeline as core;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

/// Notes on an error how many attempts were made and over how long; an error that cannot be written on stays as it is.
pub(super) fn note_attempts(py: Python<'_>, pipeline: &Py<PyString>, call: &core::Call, now: Nanos, error: &PyErr) {
    let attempts = call.attempts();
    if attempts < 2 && !call.is_overdrawn() || !error.is_instance_of::<PyException>(py) {
        return;
    }
    let took = seconds_from_nanos(now.saturating_sub(call.started()));
    let begin = format!("pipeline '{}': ", pipeline.bind(py).to_string_lossy());
    let tried = match attempts {
        1 => "not repeated".to_owned(),
        _ => format!("given up after {attempts} attempts in {took:.3} s"),
    };
    let why = if call.is_overdrawn() { ", as the retry budget is spent" } else { "" };
    let written = write(error.value(py), &begin, &format!("{begin}{tried}{why}"));
    if let Err(wrong) = written {
        wrong.write_unraisable(py, Some(error.value(py)));
    }
}

/// In place of what the same pipeline wrote before: an error that is raised again and again must not grow.
fn write(error: &Bound<'_, PyAny>, begin: &str, note: &str) -> PyResult<()> {
    let py = error.py();
    let notes = error.getattr_opt(intern!(py, "__notes__"))?.and_then(|notes| notes.cast_into::<PyList>().ok());
    if let Some(notes) = notes {
        for (place, each) in notes.iter().enumerate() {
            if each.cast::<PyString>().is_ok_and(|text| text.to_string_lossy().starts_with(begin)) {
                return notes.set_item(place, note);
            }
        }
    }
    error.call_method1(intern!(py, "add_note"), (note,)).map(drop)
}
