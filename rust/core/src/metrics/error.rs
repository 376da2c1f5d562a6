//! What can be wrong with an instrument, its attributes or a measurement.

use super::Kind;

/// A mistake in the use of the registry; the words are for the person who made it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// A name of an instrument that the text format could not carry.
    #[error("{name:?} is no name for an instrument: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A unit that could not be part of a name.
    #[error("{name}: {unit:?} is no unit: use lower-case letters, digits and underscores, such as \"seconds\"")]
    InvalidUnit {
        /// The instrument.
        name: String,
        /// The unit.
        unit: String,
    },
    /// The name of an attribute that the text format could not carry.
    #[error("{name}: {attribute:?} is no name for an attribute: {reason}")]
    InvalidAttribute {
        /// The instrument.
        name: String,
        /// The attribute's name.
        attribute: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Bounds of a histogram that are not finite, not rising, negative, or none at all.
    #[error("{name}: bounds must be finite, not negative and rising, with at least one; they are {bounds:?}")]
    InvalidBounds {
        /// The instrument.
        name: String,
        /// The bounds.
        bounds: Vec<f64>,
    },
    /// The name is taken by an instrument that differs.
    #[error("{name} is registered already as a {kind} with {what} {registered}, not {asked}")]
    Differs {
        /// The instrument.
        name: String,
        /// Its registered kind.
        kind: Kind,
        /// In what they differ.
        what: &'static str,
        /// What is registered.
        registered: String,
        /// What was asked for.
        asked: String,
    },
    /// The name is taken by an instrument of another kind.
    #[error("{name} is registered already as a {registered}, not as a {asked}")]
    KindDiffers {
        /// The instrument.
        name: String,
        /// What is registered.
        registered: Kind,
        /// What was asked for.
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
    /// A measurement with other attributes than the instrument's.
    #[error("{name} takes {}, not {}", names(.expected), names(.given))]
    WrongAttributes {
        /// The instrument.
        name: String,
        /// The attributes that it takes.
        expected: Vec<String>,
        /// Those given.
        given: Vec<String>,
    },
    /// An amount that the aggregate could not bear.
    #[error("{name}: {reason}, not {value}")]
    InvalidAmount {
        /// The instrument.
        name: String,
        /// What would be right.
        reason: &'static str,
        /// The amount.
        value: f64,
    },
    /// Two values for the same instrument and attributes.
    #[error("{name} is measured twice with the same attributes")]
    MeasuredTwice {
        /// The instrument.
        name: String,
    },
    /// Two accounts of one instrument that don't fit.
    #[error("{name} is there already and differs in {what}")]
    CannotMerge {
        /// The instrument.
        name: String,
        /// In what they differ.
        what: &'static str,
    },
}

fn names(names: &[String]) -> String {
    if names.is_empty() { "no attributes".to_owned() } else { format!("the attributes {}", names.join(", ")) }
}
