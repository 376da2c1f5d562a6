//! Names and values that tell the series of one instrument apart.

use std::cmp::Ordering;

use super::MetricsError;
use super::openmetrics::write_escaped;

/// The attribute of the overflow series, which takes measurements beyond an instrument's cap. OpenTelemetry's metrics
/// SDK specification has the same name with dots.
pub const OVERFLOW_ATTRIBUTE: &str = "otel_metric_overflow";

/// Attributes sorted by name, with their text in the text format.
#[derive(Debug, Clone)]
pub struct Attributes {
    pairs: Box<[(Box<str>, Box<str>)]>,
    text: Box<str>,
}

impl Attributes {
    /// Attributes from names and values in any order.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut pairs: Box<[(Box<str>, Box<str>)]> =
            pairs.into_iter().map(|(name, value)| (Box::from(name), Box::from(value))).collect();
        pairs.sort_unstable();
        let mut text = String::new();
        for (name, value) in &pairs {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            write_escaped(&mut text, value);
            text.push('"');
        }
        Self { pairs, text: text.into() }
    }

    /// The attributes of the overflow series.
    pub fn overflow() -> Self {
        Self::new([(OVERFLOW_ATTRIBUTE, "true")])
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether a name appears more than once.
    pub(super) fn has_duplicates(&self) -> bool {
        self.pairs.windows(2).any(|two| two[0].0 == two[1].0)
    }

    /// `a="x",b="y"`, escaped: the text between the braces in the text format.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.pairs == other.pairs
    }
}

impl Eq for Attributes {}

impl PartialOrd for Attributes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Attributes {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pairs.cmp(&other.pairs)
    }
}

/// Checks that an instrument can have attributes of these names.
///
/// # Errors
/// The text format can't carry a name, or a name occurs twice.
pub fn check_attributes(instrument: &str, names: &[&str]) -> Result<(), MetricsError> {
    for (index, name) in names.iter().enumerate() {
        check_attribute(instrument, name)?;
        if names[..index].contains(name) {
            return Err(MetricsError::InvalidAttribute(instrument.to_owned(), (*name).to_owned(), "it is named twice"));
        }
    }
    Ok(())
}

/// Checks that the text format can carry `name` as the name of an attribute, and does not reserve it.
pub(super) fn check_attribute(instrument: &str, name: &str) -> Result<(), MetricsError> {
    let reason = if !is_identifier(name) {
        "use letters, digits and underscores, and no digit first"
    } else if name.starts_with("__") {
        "Prometheus reserves names that begin with two underscores"
    } else if matches!(name, "le" | "quantile" | OVERFLOW_ATTRIBUTE) {
        "the text format reserves it"
    } else {
        return Ok(());
    };
    Err(MetricsError::InvalidAttribute(instrument.to_owned(), name.to_owned(), reason))
}

/// ASCII letters, digits and underscores, no digit first.
pub(super) fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_sorted_by_name_and_escaped() {
        let attributes = Attributes::new([("b", "x\ny"), ("a", "say \"\\\"")]);
        assert_eq!(attributes.text(), r#"a="say \"\\\"",b="x\ny""#);
        assert_eq!(attributes, Attributes::new([("a", "say \"\\\""), ("b", "x\ny")]));
    }

    #[test]
    fn refuse_names_that_the_text_format_needs() {
        for name in ["", "1a", "a-b", "__name__", "le", "quantile", "otel_metric_overflow", "ä"] {
            assert!(check_attribute("calls", name).is_err(), "{name}");
        }
        assert_eq!(check_attribute("calls", "_a1"), Ok(()));
    }
}
