//! The text format: OpenMetrics 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::fmt::Write as _;

use super::Kind;
use super::snapshot::{HistogramPoint, InstrumentSnapshot, Snapshot, Value};

/// The content type of the text of [`render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes a snapshot as OpenMetrics text, which ends with `# EOF`.
pub fn render(snapshot: &Snapshot) -> String {
    let lines: usize = snapshot.instruments().map(|instrument| instrument.series.len() + 3).sum();
    let mut text = String::with_capacity(lines * 80);
    for instrument in snapshot.instruments() {
        write_instrument(&mut text, instrument);
    }
    text.push_str("# EOF\n");
    text
}

/// The name of an instrument in the text format, with its unit at the end.
pub(super) fn exposed_name(name: &str, unit: &str) -> String {
    if unit.is_empty() || name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')) {
        name.to_owned()
    } else {
        format!("{name}_{unit}")
    }
}

/// Every name under which an instrument can appear in the text format.
pub(super) fn sample_names(exposed: &str, kind: Kind) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
    };
    suffixes.iter().map(|suffix| format!("{exposed}{suffix}")).collect()
}

fn write_instrument(text: &mut String, instrument: &InstrumentSnapshot) {
    let name = exposed_name(&instrument.name, &instrument.unit);
    for part in ["# TYPE ", &name, " ", instrument.kind.as_str(), "\n"] {
        text.push_str(part);
    }
    if !instrument.unit.is_empty() {
        for part in ["# UNIT ", &name, " ", &instrument.unit, "\n"] {
            text.push_str(part);
        }
    }
    if !instrument.description.is_empty() {
        for part in ["# HELP ", &name, " "] {
            text.push_str(part);
        }
        write_escaped(text, &instrument.description);
        text.push('\n');
    }
    let sample = if instrument.kind == Kind::Counter { name + "_total" } else { name };
    for series in &instrument.series {
        let attributes = series.attributes.text();
        match &series.value {
            Value::Whole(whole) => {
                write_sample(text, &sample, "", attributes);
                write_whole(text, *whole);
            }
            Value::Real(real) => {
                write_sample(text, &sample, "", attributes);
                write_float(text, *real);
            }
            Value::Histogram(point) => write_histogram(text, &sample, attributes, point),
        }
        text.push('\n');
    }
}

fn write_histogram(text: &mut String, name: &str, attributes: &str, point: &HistogramPoint) {
    let mut total: u64 = 0;
    let texts = point.bounds.texts().iter().map(|bound| &**bound).chain(["+Inf"]);
    for (bound, count) in texts.zip(&point.counts) {
        total = total.saturating_add(*count);
        for part in
            [name, "_bucket{", attributes, if attributes.is_empty() { "le=\"" } else { ",le=\"" }, bound, "\"} "]
        {
            text.push_str(part);
        }
        write_whole(text, total);
        text.push('\n');
    }
    write_sample(text, name, "_count", attributes);
    write_whole(text, total);
    text.push('\n');
    write_sample(text, name, "_sum", attributes);
    write_float(text, point.sum);
}

/// `name_suffix{attributes} `, without the braces where there are no attributes.
fn write_sample(text: &mut String, name: &str, suffix: &str, attributes: &str) {
    text.push_str(name);
    text.push_str(suffix);
    if !attributes.is_empty() {
        text.push('{');
        text.push_str(attributes);
        text.push('}');
    }
    text.push(' ');
}

/// Writes a text, escaped so that it can end neither a quoted value nor a help line.
pub(super) fn write_escaped(text: &mut String, raw: &str) {
    let mut rest = raw;
    while let Some(place) = rest.find(['\\', '"', '\n']) {
        text.push_str(&rest[..place]);
        text.push_str(match rest.as_bytes()[place] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &rest[place + 1..];
    }
    text.push_str(rest);
}

fn write_whole(text: &mut String, whole: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = whole;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend(digits[start..].iter().map(|digit| char::from(*digit)));
}

/// Writes a number in its canonical form: the fewest digits that read back to the same number, and a point or an
/// exponent. From a million up and below a ten-thousandth it is an exponent of at least two digits.
pub(super) fn write_float(text: &mut String, value: f64) {
    let size = value.abs();
    if value.is_nan() {
        text.push_str("NaN");
    } else if value.is_infinite() {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if size < 1e6 && value.trunc() == value {
        if value.is_sign_negative() {
            text.push('-');
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and below a million")]
        write_whole(text, size as u64);
        text.push_str(".0");
    } else if (1e-4..1e6).contains(&size) {
        let _ = write!(text, "{value}"); // writing to a string does not fail
    } else {
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(text, "{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> String {
        let mut text = String::new();
        write_float(&mut text, value);
        text
    }

    #[test]
    fn floats_are_canonical() {
        let expected = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.005, "0.005"),
            (0.1, "0.1"),
            (2.5, "2.5"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1.5e10, "1.5e+10"),
            (1e-5, "1e-05"),
            (1e-10, "1e-10"),
            (1.25e-7, "1.25e-07"),
            (-1e100, "-1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (123_456.789, "123456.789"),
            (0.0001, "0.0001"),
        ];
        for (value, text) in expected {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn wholes_are_written_in_full() {
        for whole in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            let mut text = String::new();
            write_whole(&mut text, whole);
            assert_eq!(text, whole.to_string());
        }
    }

    #[test]
    fn units_are_not_said_twice() {
        assert_eq!(exposed_name("call_duration", "seconds"), "call_duration_seconds");
        assert_eq!(exposed_name("call_seconds", "seconds"), "call_seconds");
        assert_eq!(exposed_name("milliseconds", "seconds"), "milliseconds_seconds");
        assert_eq!(exposed_name("calls", ""), "calls");
    }
}
