//! Rates: written `"100/s"`, `"5/min"`, `"0.5/s"`, `"1000/h"`, `"3/10s"`.

use std::fmt;
use std::str::FromStr;

/// The slowest rate: one in about three years. Slower ones mean "never" and are likely slips.
const SLOWEST: f64 = 1e-8;
/// The fastest rate: one a nanosecond, the resolution of the clock.
const FASTEST: f64 = 1e9;

/// A rate in tokens a second; positive, finite, at most one a nanosecond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f64,
    /// The number before the slash.
    count: f64,
}

/// The reason why a text or number is not a rate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RateError {
    /// The text has not the form number, slash, unit of time.
    #[error(
        "{0:?} is not a rate: write a number, a slash and a unit of time, such as \"100/s\", \"5/min\", \"0.5/s\", \"1000/h\" or \"3/10s\""
    )]
    Form(String),
    /// The text after the slash is no unit of time.
    #[error("{unit:?} in the rate {text:?} is not a time: use ms, s, min, h or d, as in \"5/min\" or \"3/10s\"")]
    Unit {
        /// The whole text.
        text: String,
        /// What stood where the unit belongs.
        unit: String,
    },
    /// The number is zero, negative, not finite, or too small or large to be kept in nanoseconds.
    #[error("a rate must be at least 1e-8 a second (one in three years) and at most 1e9 a second, not {0} a second")]
    Range(f64),
}

/// Why a rate and a burst are no limit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LimitError {
    /// A bucket that never holds a token.
    #[error("burst must be at least 1, not 0")]
    NoBurst,
    /// Windows let through the number before the slash.
    #[error("a window lets through the number before the slash at most: leave burst out, or use a bucket")]
    Burst,
    /// Windows count whole calls.
    #[error("a window counts whole calls, from 1 to 4294967295 of them, not {0}: write \"1/2s\" instead of \"0.5/s\"")]
    Count(f64),
}

impl Rate {
    /// A rate of so many a second.
    ///
    /// # Errors
    /// [`RateError::Range`] for what is not a positive number up to 10⁹ (nor less than 10⁻⁸, one in three years).
    pub fn per_second(rate: f64) -> Result<Self, RateError> {
        Self::checked(rate, rate)
    }

    fn checked(per_second: f64, count: f64) -> Result<Self, RateError> {
        if (SLOWEST..=FASTEST).contains(&per_second) {
            Ok(Self { per_second, count })
        } else {
            Err(RateError::Range(per_second))
        }
    }

    /// Tokens a second.
    pub fn as_per_second(self) -> f64 {
        self.per_second
    }

    /// The burst where none is said: the number before the slash, rounded up; `"5/min"` lets five through at once.
    pub fn default_burst(self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and that is meant"
        )]
        let burst = self.count.ceil() as u64;
        burst.max(1)
    }

    /// The number before the slash; of a rate that was given as a number a second, that number.
    pub fn count(self) -> f64 {
        self.count
    }

    /// The time behind the slash in nanoseconds, rounded to whole ones.
    pub fn period_nanos(self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        let nanos = (1e9 * self.count / self.per_second).round() as u64;
        nanos.max(1)
    }

    /// Nanoseconds between two tokens, rounded to whole ones: exact to 0.05 % up to a million a second.
    pub fn interval_nanos(self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e17 by the range")]
        let nanos = (1e9 / self.per_second).round() as u64;
        nanos.max(1)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let form = || RateError::Form(text.to_owned());
        let (count, period) = text.trim().split_once('/').ok_or_else(form)?;
        let count = number(count.trim()).ok_or_else(form)?;
        let seconds = period_seconds(period.trim(), text)?;
        Self::checked(count / seconds, count)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_second)
    }
}

/// A plain decimal number: no sign, exponent, `inf`, `nan`, `1.` or `.5`, which `f64` would take.
fn number(text: &str) -> Option<f64> {
    let plain = text.split('.').all(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()));
    if plain { text.parse().ok() } else { None }
}

/// The length of a period: a unit, or numbers with units that add up, as in `10s` and `1h30m`.
fn period_seconds(period: &str, text: &str) -> Result<f64, RateError> {
    let wrong_unit = |unit: &str| RateError::Unit { text: text.to_owned(), unit: unit.to_owned() };
    if let Some(seconds) = unit_seconds(period) {
        return Ok(seconds);
    }
    let (mut rest, mut seconds) = (period, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (length, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let letters = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let each = unit_seconds(unit).ok_or_else(|| wrong_unit(if unit.is_empty() { period } else { unit }))?;
        seconds += each * number(length).ok_or_else(|| RateError::Form(text.to_owned()))?;
        rest = behind.trim_start();
    }
    if seconds > 0.0 { Ok(seconds) } else { Err(wrong_unit(period)) }
}

/// The units of the settings' durations, in either case.
fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit.to_lowercase().as_str() {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<f64, RateError> {
        text.parse::<Rate>().map(Rate::as_per_second)
    }

    #[test]
    fn reads_numbers_over_units_of_time() {
        assert_eq!(parse("100/s"), Ok(100.0));
        assert_eq!(parse("0.5/s"), Ok(0.5));
        assert_eq!(parse(" 6 / min "), Ok(0.1));
        assert_eq!(parse("3600/h"), Ok(1.0));
        assert_eq!(parse("86400/d"), Ok(1.0));
        assert_eq!(parse("1/ms"), Ok(1_000.0));
        assert_eq!(parse("3/10s"), Ok(0.3));
        assert_eq!(parse("54/1h30m"), Ok(0.01));
        assert_eq!(parse("604800/Week"), Ok(1.0));
    }

    #[test]
    fn lets_through_at_once_what_stands_before_the_slash() {
        let burst = |text: &str| text.parse::<Rate>().map(Rate::default_burst);
        assert_eq!(["5/min", "0.5/s", "100/s", "7/2h"].map(|text| burst(text).unwrap()), [5, 1, 100, 7]);
        assert_eq!(Rate::per_second(2.5).unwrap().default_burst(), 3);
    }

    #[test]
    fn says_what_is_wrong() {
        for text in [
            "", "100", "/s", "x/s", "-1/s", "1e3/s", "inf/s", "nan/s", "1..2/s", "1./s", ".5/s", "1/1.2.3s", "1/s2",
            "1/s/s",
        ] {
            assert!(matches!(parse(text), Err(RateError::Form(_))), "{text}");
        }
        for text in ["1/", "1/moon", "1/3", "1/0s"] {
            assert!(matches!(parse(text), Err(RateError::Unit { .. })), "{text}");
        }
        for text in ["0/s", "2000000000/s", "0.000000001/s"] {
            assert!(matches!(parse(text), Err(RateError::Range(_))), "{text}");
        }
        assert!(Rate::per_second(f64::NAN).is_err());
        let message = parse("1/5000d").unwrap_err().to_string();
        assert!(message.contains("at least 1e-8 a second") && message.contains("0.0000000023"), "{message}");
    }
}
