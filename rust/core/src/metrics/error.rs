//! Mistakes in names, attributes, bounds and measurements.

use super::Kind;

/// A mistake in the use of the registry. The texts are for the person who made it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// The text format can't carry the name of an instrument.
    #[error("{name:?} cannot name an instrument: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// What would be right.
        reason: &'static str,
    },
    /// The unit can't be part of a name.
    #[error("{name}: {unit:?} is not a unit: use lower-case letters, digits and underscores, such as \"seconds\"")]
    InvalidUnit {
        /// The instrument.
        name: String,
        /// The unit.
        unit: String,
    },
    /// The text format can't carry the name of an attribute.
    #[error("{name}: {attribute:?} cannot name an attribute: {reason}")]
    InvalidAttribute {
        /// The instrument.
        name: String,
        /// The attribute's name.
        attribute: String,
        /// What would be right.
        reason: &'static str,
    },
    /// The bounds of a histogram are not finite, not rising, negative, or missing.
    #[error("{name}: bounds must be finite, not negative and rising, with at least one; they are {bounds:?}")]
    InvalidBounds {
        /// The instrument.
        name: String,
        /// The bounds.
        bounds: Vec<f64>,
    },
    /// An instrument of this name differs in unit, attributes or bounds.
    #[error("{name} is registered already as a {kind} with {what} {registered}, not {asked}")]
    Differs {
        /// The instrument.
        name: String,
        /// Its registered kind.
        kind: Kind,
        /// The property that differs.
        what: &'static str,
        /// The registered value.
        registered: String,
        /// The requested value.
        asked: String,
    },
    /// An instrument of this name has another kind.
    #[error("{name} is registered already as a {registered}, not as a {asked}")]
    KindDiffers {
        /// The instrument.
        name: String,
        /// The registered value.
        registered: Kind,
        /// The requested value.
        asked: Kind,
    },
    /// Two instruments would be written under one name in the text format.
    #[error("{name} would be exposed as {sample}, which is taken by {other}")]
    Collides {
        /// The instrument.
        name: String,
        /// The name in the text format.
        sample: String,
        /// The instrument that has it.
        other: String,
    },
    /// A measurement has other attributes than its instrument.
    #[error("{name} takes {}, not {}", names(.expected), names(.given))]
    WrongAttributes {
        /// The instrument.
        name: String,
        /// The attributes that it takes.
        expected: Vec<String>,
        /// The attributes of the measurement.
        given: Vec<String>,
    },
    /// An instrument does not take this amount.
    #[error("{name}: {reason}, not {value}")]
    InvalidAmount {
        /// The instrument.
        name: String,
        /// What would be right.
        reason: &'static str,
        /// The amount.
        value: f64,
    },
    /// One set of attributes has two values.
    #[error("{name} is measured twice with the same attributes")]
    MeasuredTwice {
        /// The instrument.
        name: String,
    },
    /// Two snapshots of one instrument don't fit together.
    #[error("{name} cannot be merged: its snapshots differ in {what}")]
    CannotMerge {
        /// The instrument.
        name: String,
        /// The property that differs.
        what: &'static str,
    },
}

fn names(names: &[String]) -> String {
    if names.is_empty() { "no attributes".to_owned() } else { format!("the attributes {}", names.join(", ")) }
}
