//! Mistakes in names, attributes, bounds and measurements.

use super::Kind;

/// A mistake in the use of the registry; the first field is the instrument. The texts are for the person who made it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// The text format can't carry the name: the name, and what would be right.
    #[error("{0:?} cannot name an instrument: {1}")]
    InvalidName(String, &'static str),
    /// The unit can't be part of a name.
    #[error("{0}: {1:?} is not a unit: use lower-case letters, digits and underscores, such as \"seconds\"")]
    InvalidUnit(String, String),
    /// The text format can't carry the name of an attribute: the name, and what would be right.
    #[error("{0}: {1:?} cannot name an attribute: {2}")]
    InvalidAttribute(String, String, &'static str),
    /// The bounds of a histogram are not finite, not rising, negative, or missing.
    #[error("{0}: bounds must be finite, not negative and rising, with at least one; they are {1:?}")]
    InvalidBounds(String, Vec<f64>),
    /// An instrument of this name and kind differs in a property: the registered value, and the requested value.
    #[error("{0} is registered already as a {1} with {2} {3}, not {4}")]
    Differs(String, Kind, &'static str, String, String),
    /// An instrument of this name has another kind than the requested kind.
    #[error("{0} is registered already as a {1}, not as a {2}")]
    KindDiffers(String, Kind, Kind),
    /// Another instrument has the name in the text format.
    #[error("{0} would be exposed as {1}, which is taken by {2}")]
    Collides(String, String, String),
    /// A measurement has other attributes than its instrument: the instrument's, and the measurement's.
    #[error("{0} takes {expected}, not {given}", expected = names(.1), given = names(.2))]
    WrongAttributes(String, Vec<String>, Vec<String>),
    /// The instrument does not take this amount: what would be right, and the amount.
    #[error("{0}: {1}, not {2}")]
    InvalidAmount(String, &'static str, f64),
    /// One set of attributes has two values.
    #[error("{0} is measured twice with the same attributes")]
    MeasuredTwice(String),
    /// Two snapshots of one instrument differ in a property.
    #[error("{0} cannot be merged: its snapshots differ in {1}")]
    CannotMerge(String, &'static str),
}

fn names(names: &[String]) -> String {
    if names.is_empty() { "no attributes".to_owned() } else { format!("the attributes {}", names.join(", ")) }
}
