//! An instrument of any kind: finds the series for keyword arguments, and measures into it.

use std::sync::Arc;

use corten_core::clock::AnyClock;
use corten_core::metrics::{Family, MetricsError, Series};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};

use super::error;
use crate::fastcall::Arguments;

/// The most attributes that are looked up without a list of their values on the heap.
const FEW: usize = 4;

/// An instrument with the names of its attributes as Python strings.
pub(super) struct Instrument<S: Series> {
    pub(super) family: Arc<Family<S>>,
    /// The registry's clock, which timers read.
    pub(super) clock: AnyClock,
    names: Box<[Py<PyString>]>,
    /// The only series of an instrument without attributes.
    sole: Option<Arc<S>>,
}

impl<S: Series> Instrument<S> {
    pub(super) fn new(
        py: Python<'_>,
        family: Arc<Family<S>>,
        attributes: &[String],
        clock: AnyClock,
    ) -> PyResult<Arc<Self>> {
        let names: Vec<&str> = attributes.iter().map(String::as_str).collect();
        family.declare(&names).map_err(error)?;
        let declared = family.attribute_names().unwrap_or_default();
        let names = declared.iter().map(|name| PyString::intern(py, name).unbind()).collect();
        let sole = declared.is_empty().then(|| family.with(&[], Arc::clone));
        Ok(Arc::new(Self { family, clock, names, sole }))
    }

    /// Measures into the series of the keyword arguments. `act` returns an amount that the series does not take, and
    /// `right` says which amounts it takes.
    #[inline]
    pub(super) fn measure(
        &self,
        arguments: &Arguments<'_, '_>,
        right: &'static str,
        act: impl FnOnce(&S) -> Result<(), f64>,
    ) -> PyResult<()> {
        self.with(arguments.py(), arguments, |series| act(series))?.map_err(|amount| self.invalid(right, amount))
    }

    /// Calls `act` with the series of the keyword arguments, under a lock of the core: it must not touch Python.
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

    pub(super) fn bind(
        self: &Arc<Self>,
        py: Python<'_>,
        attributes: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<BoundSeries<S>> {
        let series = self.with(py, &attributes, Arc::clone)?;
        Ok(BoundSeries { series, instrument: Arc::clone(self) })
    }

    pub(super) fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.names)
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

    /// Looks up any number of values of any type.
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

    /// The value of an attribute as text. As in OpenTelemetry it is a text, a bool or a number.
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
        error(self.family.wrong_attributes(keywords.names()))
    }

    #[cold]
    fn invalid(&self, reason: &'static str, value: f64) -> PyErr {
        error(MetricsError::InvalidAmount(self.family.name().to_string(), reason, value))
    }
}

/// One series of an instrument, looked up once.
pub(super) struct BoundSeries<S: Series> {
    pub(super) series: Arc<S>,
    pub(super) instrument: Arc<Instrument<S>>,
}

impl<S: Series> BoundSeries<S> {
    /// Measures, as [`Instrument::measure`] does.
    #[inline]
    pub(super) fn measure(&self, right: &'static str, act: impl FnOnce(&S) -> Result<(), f64>) -> PyResult<()> {
        act(&self.series).map_err(|amount| self.instrument.invalid(right, amount))
    }
}

impl<S: Series> Clone for BoundSeries<S> {
    fn clone(&self) -> Self {
        Self { series: Arc::clone(&self.series), instrument: Arc::clone(&self.instrument) }
    }
}

/// Keyword arguments, in CPython's vector or in a dictionary.
pub(super) trait Keywords<'py> {
    fn count(&self) -> usize;
    /// The value of a name, which is probably at `index`.
    fn value(&self, index: usize, name: &Py<PyString>) -> Option<Bound<'py, PyAny>>;
    fn names(&self) -> Vec<String>;
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

    fn names(&self) -> Vec<String> {
        Arguments::names(self).map(|name| name.to_string_lossy().into_owned()).collect()
    }
}

impl<'py> Keywords<'py> for Option<&Bound<'py, PyDict>> {
    fn count(&self) -> usize {
        self.map_or(0, PyDictMethods::len)
    }

    fn value(&self, _index: usize, name: &Py<PyString>) -> Option<Bound<'py, PyAny>> {
        self.and_then(|keywords| keywords.get_item(name.bind(keywords.py())).ok().flatten())
    }

    fn names(&self) -> Vec<String> {
        self.iter().flat_map(|keywords| keywords.keys()).map(|name| name.to_string()).collect()
    }
}
