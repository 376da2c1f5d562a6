//! What the instruments of every kind do alike: find the series that keyword arguments mean.

use std::sync::Arc;

use corten_core::metrics::{Family, MetricsError, Series};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};

use super::error;
use crate::fastcall::Arguments;

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
    pub(super) fn with<'py, R>(
        &self,
        py: Python<'py>,
        keywords: &impl Keywords<'py>,
        act: impl FnOnce(&Arc<S>) -> R,
    ) -> PyResult<R> {
        if keywords.count() != self.names.len() {
            return Err(self.wrong(keywords));
        }
        match &self.sole {
            Some(sole) => Ok(act(sole)),
            None => self.find(py, keywords, act),
        }
    }

    pub(super) fn bind(&self, py: Python<'_>, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<Arc<S>> {
        self.with(py, &attributes, Arc::clone)
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

    fn find<'py, R>(
        &self,
        py: Python<'py>,
        keywords: &impl Keywords<'py>,
        act: impl FnOnce(&Arc<S>) -> R,
    ) -> PyResult<R> {
        if self.names.len() > FEW {
            return self.find_among_many(py, keywords, act);
        }
        let mut held = [const { None }; FEW];
        let mut values = [""; FEW];
        for (index, (name, slot)) in self.names.iter().zip(&mut held).enumerate() {
            *slot = Some(keywords.value(index, name).ok_or_else(|| self.wrong(keywords))?);
        }
        for (value, found) in values.iter_mut().zip(held.iter().flatten()) {
            match found.cast_exact::<PyString>().ok().and_then(|text| text.to_str().ok()) {
                Some(text) => *value = text,
                None => return self.find_among_many(py, keywords, act),
            }
        }
        Ok(self.family.with(&values[..self.names.len()], act))
    }

    /// The same for any number and any type of values.
    #[cold]
    fn find_among_many<'py, R>(
        &self,
        py: Python<'py>,
        keywords: &impl Keywords<'py>,
        act: impl FnOnce(&Arc<S>) -> R,
    ) -> PyResult<R> {
        let mut values = Vec::with_capacity(self.names.len());
        for (index, name) in self.names.iter().enumerate() {
            let found = keywords.value(index, name).ok_or_else(|| self.wrong(keywords))?;
            values.push(self.text(name.bind(py), &found)?);
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
    fn wrong<'py>(&self, keywords: &impl Keywords<'py>) -> PyErr {
        error(self.family.wrong_attributes(keywords.given()))
    }
}

/// Keyword arguments, wherever they are.
pub(super) trait Keywords<'py> {
    /// How many there are.
    fn count(&self) -> usize;
    /// The one of this name, which is likely to be the `index`th.
    fn value(&self, index: usize, name: &Py<PyString>) -> Option<Bound<'py, PyAny>>;
    /// Their names.
    fn given(&self) -> Vec<String>;
}

impl<'py> Keywords<'py> for Arguments<'_, 'py> {
    #[inline]
    fn count(&self) -> usize {
        self.keywords()
    }

    #[inline]
    fn value(&self, index: usize, name: &Py<PyString>) -> Option<Bound<'py, PyAny>> {
        self.keyword(index, name).map(|value| value.to_owned())
    }

    fn given(&self) -> Vec<String> {
        self.names().map(|name| name.to_string_lossy().into_owned()).collect()
    }
}

impl<'py> Keywords<'py> for Option<&Bound<'py, PyDict>> {
    fn count(&self) -> usize {
        self.map_or(0, PyDictMethods::len)
    }

    fn value(&self, _index: usize, name: &Py<PyString>) -> Option<Bound<'py, PyAny>> {
        self.and_then(|keywords| keywords.get_item(name.bind(keywords.py())).ok().flatten())
    }

    fn given(&self) -> Vec<String> {
        self.iter().flat_map(|keywords| keywords.keys()).map(|name| name.to_string()).collect()
    }
}
