//! What the instruments of every kind do alike: find the series that keyword arguments mean.

use std::borrow::Cow;
use std::sync::Arc;

use corten_core::metrics::{Family, MetricsError, Series};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};

use super::error;

/// Up to so many attributes are looked up without a list of their values on the heap.
const FEW: usize = 4;

/// An instrument with the names of its attributes as Python has them.
pub(super) struct Instrument<S: Series> {
    pub(super) family: Arc<Family<S>>,
    names: Box<[Py<PyString>]>,
    /// The only series of an instrument without attributes.
    sole: Option<Arc<S>>,
}

impl<S: Series> Instrument<S> {
    pub(super) fn new(py: Python<'_>, family: Arc<Family<S>>, attributes: &[String]) -> PyResult<Self> {
        let names: Vec<&str> = attributes.iter().map(String::as_str).collect();
        family.declare(&names).map_err(error)?;
        let declared = family.attribute_names().unwrap_or_default();
        let names = declared.iter().map(|name| PyString::intern(py, name).unbind()).collect();
        let sole = declared.is_empty().then(|| family.with(&[], Arc::clone));
        Ok(Self { family, names, sole })
    }

    /// Does something to the series that the keyword arguments mean. `act` runs under a lock of the core: it must
    /// not touch Python.
    #[inline]
    pub(super) fn with<R>(
        &self,
        py: Python<'_>,
        attributes: Option<&Bound<'_, PyDict>>,
        act: impl FnOnce(&Arc<S>) -> R,
    ) -> PyResult<R> {
        match (attributes, &self.sole) {
            (None, Some(sole)) => Ok(act(sole)),
            (Some(attributes), None) if attributes.len() == self.names.len() => self.find(py, attributes, act),
            (attributes, _) => Err(self.wrong(attributes)),
        }
    }

    pub(super) fn bind(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<Arc<S>> {
        self.with(py, attributes, Arc::clone)
    }

    pub(super) fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.names)
    }

    pub(super) fn invalid(&self, reason: &'static str, value: f64) -> PyErr {
        error(MetricsError::InvalidAmount { name: self.family.name().to_string(), reason, value })
    }

    pub(super) fn repr(&self, kind: &str) -> String {
        let names = self.family.attribute_names().unwrap_or_default();
        format!("<{kind} {}({})>", self.family.name(), names.join(", "))
    }

    fn find<R>(&self, py: Python<'_>, attributes: &Bound<'_, PyDict>, act: impl FnOnce(&Arc<S>) -> R) -> PyResult<R> {
        let mut held: [Option<Bound<'_, PyAny>>; FEW] = [const { None }; FEW];
        if self.names.len() > FEW {
            return self.find_among_many(py, attributes, act);
        }
        for (slot, name) in held.iter_mut().zip(&self.names) {
            let found = attributes.get_item(name.bind(py))?;
            *slot = Some(found.ok_or_else(|| self.wrong(Some(attributes)))?);
        }
        let mut values = [""; FEW];
        for (value, found) in values.iter_mut().zip(held.iter().flatten()) {
            match found.cast_exact::<PyString>().ok().and_then(|text| text.to_str().ok()) {
                Some(text) => *value = text,
                None => return self.find_among_many(py, attributes, act),
            }
        }
        Ok(self.family.with(&values[..self.names.len()], act))
    }

    /// The same for any number and any type of values.
    #[cold]
    fn find_among_many<R>(
        &self,
        py: Python<'_>,
        attributes: &Bound<'_, PyDict>,
        act: impl FnOnce(&Arc<S>) -> R,
    ) -> PyResult<R> {
        let mut values = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let name = name.bind(py);
            let found = attributes.get_item(name)?.ok_or_else(|| self.wrong(Some(attributes)))?;
            values.push(self.text(name, &found)?);
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        Ok(self.family.with(&values, act))
    }

    /// The value of an attribute as text, as OpenTelemetry's types go: text, truth, numbers.
    fn text(&self, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<String> {
        if let Ok(text) = value.cast::<PyString>() {
            Ok(text.to_string_lossy().into_owned()) // a lone surrogate must not cost the measurement
        } else if let Ok(truth) = value.cast::<PyBool>() {
            Ok(if truth.is_true() { "true" } else { "false" }.to_owned())
        } else if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
            Ok(value.str()?.to_string_lossy().into_owned())
        } else {
            let (instrument, kind) = (self.family.name(), value.get_type().name()?);
            Err(PyTypeError::new_err(format!("{instrument}: the attribute {name} is text or a number, not {kind}")))
        }
    }

    #[cold]
    fn wrong(&self, attributes: Option<&Bound<'_, PyDict>>) -> PyErr {
        let given = attributes.into_iter().flatten().map(|(name, _)| match name.cast::<PyString>() {
            Ok(name) => name.to_string_lossy().into_owned(),
            Err(_) => Cow::from("?").into_owned(),
        });
        error(self.family.wrong_attributes(given.collect()))
    }
}
