//! The registry against naive models.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_core::metrics::{
    DEFAULT_SECONDS, GaugeMerge, MetricsError, OVERFLOW_COUNTER, Registry, Snapshot, Value, render,
};
use proptest::prelude::*;

fn values(snapshot: &Snapshot, instrument: &str) -> BTreeMap<String, Value> {
    snapshot
        .instruments()
        .filter(|found| &*found.name == instrument)
        .flat_map(|found| found.series.iter())
        .map(|series| (series.attributes.text().to_owned(), series.value.clone()))
        .collect()
}

fn merged(snapshots: &[&Snapshot], gauges: GaugeMerge) -> Snapshot {
    let mut all = Snapshot::default();
    for instrument in snapshots.iter().flat_map(|snapshot| snapshot.instruments()) {
        all.merge(instrument.clone(), gauges).unwrap();
    }
    all
}

#[derive(Debug, Clone)]
enum Act {
    Add(u8, u32),
    Set(u8, i16),
    Record(u8, u16),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..6_u8, any::<u32>()).prop_map(|(key, amount)| Act::Add(key, amount)),
        (0..6_u8, any::<i16>()).prop_map(|(key, value)| Act::Set(key, value)),
        (0..6_u8, any::<u16>()).prop_map(|(key, value)| Act::Record(key, value)),
    ];
    prop::collection::vec(act, 0..40)
}

/// A snapshot of a registry to which the acts were done. Whole numbers only, so that sums are exact in any order.
fn taken(acts: &[Act]) -> Snapshot {
    let registry = Registry::default();
    for act in acts {
        match act {
            Act::Add(key, amount) => {
                let counter = registry.counter("calls", "", "").unwrap();
                counter.series(&[("key", &key.to_string())]).unwrap().add(u64::from(*amount));
            }
            Act::Set(key, value) => {
                let gauge = registry.gauge("level", "", "").unwrap();
                gauge.series(&[("key", &key.to_string())]).unwrap().set(f64::from(*value));
            }
            Act::Record(key, value) => {
                let histogram = registry.histogram("size", "", "bytes", &[1.0, 100.0, 10_000.0]).unwrap();
                histogram.series(&[("key", &key.to_string())]).unwrap().record(f64::from(*value));
            }
        }
    }
    registry.snapshot()
}

proptest! {
    #[test]
    fn a_histogram_counts_as_a_list_of_values_does(
        bounds in prop::collection::btree_set(0..10_000_u32, 1..80),
        recorded in prop::collection::vec(0..12_000_u32, 0..200),
    ) {
        let bounds: Vec<f64> = bounds.into_iter().map(f64::from).collect();
        let registry = Registry::default();
        let series = registry.histogram("size", "", "", &bounds).unwrap().series(&[]).unwrap();
        for value in &recorded {
            prop_assert!(series.record(f64::from(*value)));
        }
        let point = series.point();
        let edges: Vec<f64> = [f64::NEG_INFINITY].into_iter().chain(bounds).chain([f64::INFINITY]).collect();
        for (edge, count) in edges.windows(2).zip(&point.counts) {
            let inside = recorded.iter().filter(|value| edge[0] < f64::from(**value) && f64::from(**value) <= edge[1]);
            prop_assert_eq!(*count, inside.count() as u64);
        }
        prop_assert_eq!(point.count(), recorded.len() as u64);
        prop_assert_eq!(point.sum, recorded.iter().map(|value| f64::from(*value)).sum::<f64>());
    }

    #[test]
    fn merging_is_associative(a in acts(), b in acts(), c in acts()) {
        let (a, b, c) = (taken(&a), taken(&b), taken(&c));
        for gauges in [GaugeMerge::Sum, GaugeMerge::Last] {
            let left = merged(&[&merged(&[&a, &b], gauges), &c], gauges);
            let right = merged(&[&a, &merged(&[&b, &c], gauges)], gauges);
            prop_assert_eq!(left, right);
        }
    }

    #[test]
    fn merging_counters_and_histograms_is_the_same_as_measuring_in_one_place(a in acts(), b in acts()) {
        let apart = merged(&[&taken(&a), &taken(&b)], GaugeMerge::Last);
        prop_assert_eq!(apart, taken(&[a, b].concat()));
    }

    #[test]
    fn no_attribute_value_ends_its_line(value in any::<String>(), description in any::<String>()) {
        let registry = Registry::default();
        registry.counter("calls", &description, "").unwrap().series(&[("path", &value)]).unwrap().add(1);
        let text = render(&registry.snapshot());
        let lines = if description.is_empty() { 3 } else { 4 };
        prop_assert_eq!(text.split('\n').filter(|line| !line.is_empty()).count(), lines);
    }
}

#[test]
fn a_series_is_found_by_its_attributes_in_any_order() {
    let registry = Registry::default();
    let calls = registry.counter("calls", "", "").unwrap();
    let series = calls.series(&[("pipeline", "users"), ("outcome", "hit")]).unwrap();
    assert!(Arc::ptr_eq(&series, &calls.series(&[("outcome", "hit"), ("pipeline", "users")]).unwrap()));
    assert!(!Arc::ptr_eq(&series, &calls.series(&[("outcome", "users"), ("pipeline", "hit")]).unwrap()));
}

#[test]
fn the_first_series_fixes_the_names_of_the_attributes() {
    let registry = Registry::default();
    let calls = registry.counter("calls", "", "").unwrap();
    calls.series(&[("outcome", "hit")]).unwrap();
    let refused = calls.series(&[("result", "hit")]).unwrap_err();
    assert_eq!(refused.to_string(), "calls takes the attributes outcome, not the attributes result");
    assert!(calls.declare(&["outcome", "pipeline"]).is_err());
    assert_eq!(calls.declare(&["outcome"]), Ok(()));
}

#[test]
fn past_the_cap_everything_goes_into_the_overflow_series_and_is_counted() {
    let registry = Registry::new(3);
    let calls = registry.counter("calls", "", "").unwrap();
    for user in 0..10_000 {
        calls.series(&[("user", &user.to_string())]).unwrap().add(2);
    }
    calls.series(&[("user", "1")]).unwrap().add(5);
    let snapshot = registry.snapshot();
    assert_eq!(
        values(&snapshot, "calls"),
        BTreeMap::from([
            (r#"user="0""#.to_owned(), Value::Whole(2)),
            (r#"user="1""#.to_owned(), Value::Whole(7)),
            (r#"user="2""#.to_owned(), Value::Whole(2)),
            (r#"otel_metric_overflow="true""#.to_owned(), Value::Whole(19_994)),
        ])
    );
    assert_eq!(
        values(&snapshot, OVERFLOW_COUNTER),
        BTreeMap::from([(r#"instrument="calls""#.to_owned(), Value::Whole(9_997))])
    );
    assert_eq!((calls.len(), registry.statistics().overflowed), (3, 9_997));
}

#[test]
fn a_name_belongs_to_one_instrument() {
    let registry = Registry::default();
    let calls = registry.counter("calls", "All calls", "").unwrap();
    assert!(Arc::ptr_eq(&calls, &registry.counter("calls", "said otherwise", "").unwrap()));
    assert_eq!(
        registry.gauge("calls", "", "").err().map(|error| error.to_string()),
        Some("calls is registered already as a counter, not as a gauge".to_owned())
    );
    assert!(matches!(registry.counter("calls", "", "bytes"), Err(MetricsError::Differs(_, _, "unit", ..))));
    assert!(matches!(registry.gauge("calls_total", "", ""), Err(MetricsError::Collides(..))));
    registry.histogram("time", "", "seconds", &DEFAULT_SECONDS).unwrap();
    assert!(matches!(registry.histogram("time", "", "seconds", &[1.0]), Err(MetricsError::Differs(..))));
    assert!(matches!(registry.gauge("time_seconds", "", ""), Err(MetricsError::Collides(..))));
}

#[test]
fn what_cannot_be_exposed_is_refused() {
    let registry = Registry::default();
    for name in ["", "a b", "9lives", "calls.total", "calls_total", OVERFLOW_COUNTER] {
        assert!(matches!(registry.counter(name, "", ""), Err(MetricsError::InvalidName(..))), "{name}");
    }
    assert!(matches!(registry.counter("calls", "", "m/s"), Err(MetricsError::InvalidUnit(..))));
    for bounds in [&[][..], &[1.0, 1.0], &[2.0, 1.0], &[-1.0], &[f64::NAN], &[1.0, f64::INFINITY]] {
        assert!(matches!(registry.histogram("size", "", "", bounds), Err(MetricsError::InvalidBounds(..))));
    }
}

#[test]
fn amounts_that_would_spoil_a_sum_are_not_counted() {
    let registry = Registry::default();
    let seconds = registry.counter("busy", "", "seconds").unwrap().series(&[]).unwrap();
    let sizes = registry.histogram("size", "", "", &[1.0]).unwrap().series(&[]).unwrap();
    for bad in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!seconds.add_f64(bad));
        assert!(!sizes.record(bad));
    }
    seconds.add(2);
    assert_eq!(seconds.value(), Value::Whole(2));
    assert!(seconds.add_f64(0.5));
    assert_eq!(seconds.value(), Value::Real(2.5));
    assert_eq!(sizes.point().count(), 0);
}

#[test]
fn threads_lose_no_count() {
    let registry = Registry::new(50);
    let calls = registry.counter("calls", "", "").unwrap();
    let sizes = registry.histogram("size", "", "", &[1.0, 2.0]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for turn in 0..20_000_u32 {
                    calls.series(&[("user", &(turn % 100).to_string())]).unwrap().add(1);
                    sizes.series(&[]).unwrap().record(f64::from(turn % 3));
                }
            });
        }
    });
    let total: u64 = values(&registry.snapshot(), "calls")
        .values()
        .map(|value| if let Value::Whole(whole) = value { *whole } else { 0 })
        .sum();
    assert_eq!(total, 80_000);
    let point = sizes.series(&[]).unwrap().point();
    assert_eq!((point.count(), point.sum), (80_000, 4.0 * 19_999.0));
}

#[test]
fn the_text_is_openmetrics() {
    let registry = Registry::default();
    let calls = registry.counter("calls", "Calls \"made\"\nby outcome", "").unwrap();
    calls.series(&[("outcome", "a\"b\\c\nd")]).unwrap().add(3);
    registry.gauge("temperature", "", "celsius").unwrap().series(&[]).unwrap().set(-0.5);
    let time = registry.histogram("duration", "", "seconds", &[0.005, 1.0, 1e6]).unwrap();
    let series = time.series(&[("pipeline", "users")]).unwrap();
    for value in [0.005, 0.25, 2e6] {
        series.record(value);
    }
    let expected = r#"# TYPE calls counter
# HELP calls Calls \"made\"\nby outcome
calls_total{outcome="a\"b\\c\nd"} 3
# TYPE duration_seconds histogram
# UNIT duration_seconds seconds
duration_seconds_bucket{pipeline="users",le="0.005"} 1
duration_seconds_bucket{pipeline="users",le="1.0"} 2
duration_seconds_bucket{pipeline="users",le="1e+06"} 2
duration_seconds_bucket{pipeline="users",le="+Inf"} 3
duration_seconds_count{pipeline="users"} 3
duration_seconds_sum{pipeline="users"} 2e+06
# TYPE temperature_celsius gauge
# UNIT temperature_celsius celsius
temperature_celsius -0.5
# EOF
"#;
    assert_eq!(
        render(&registry.snapshot()),
        expected.replace("sum{pipeline=\"users\"} 2e+06", "sum{pipeline=\"users\"} 2.000000255e+06")
    );
}
