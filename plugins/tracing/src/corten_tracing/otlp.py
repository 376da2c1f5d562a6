"""OTLP's messages: the App's resource, metrics, and log records."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from corten.metrics import HistogramPoint, Instrument, Series, Snapshot

_SCOPE = InstrumentationScope(name="corten")
_UNITS = {"seconds": "s", "bytes": "By", "milliseconds": "ms"}
"""Units in UCUM's case-sensitive codes, as in OpenTelemetry."""
_CUMULATIVE = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE


class Record(msgspec.Struct, frozen=True, gc=False):
    """A log record, with its span."""

    time: int
    """Nanoseconds since the epoch."""
    logger: str
    level: int
    level_name: str
    body: str
    attributes: Mapping[str, object]
    trace_id: int = 0
    span_id: int = 0
    trace_flags: int = 0


def resource_of(attributes: Mapping[str, object]) -> Resource:
    """Return the resource of the App."""
    return Resource(attributes=_pairs(attributes.items()))


def metrics_request(snapshot: Snapshot, resource: Resource) -> ExportMetricsServiceRequest:
    """Convert a snapshot, cumulative since the registry's start."""
    start, now = _nanoseconds(snapshot.started), _nanoseconds(snapshot.time)
    scope = metrics_pb2.ScopeMetrics(
        scope=_SCOPE, metrics=[_metric(instrument, start, now) for instrument in snapshot.instruments]
    )
    return ExportMetricsServiceRequest(
        resource_metrics=[metrics_pb2.ResourceMetrics(resource=resource, scope_metrics=[scope])]
    )


def _metric(instrument: Instrument, start: int, now: int) -> metrics_pb2.Metric:
    metric = metrics_pb2.Metric(
        name=instrument.name,
        description=instrument.description,
        unit=_UNITS.get(instrument.unit, instrument.unit),
    )
    if instrument.kind == "histogram":
        metric.histogram.aggregation_temporality = _CUMULATIVE
        metric.histogram.data_points.extend(_distribution(series, start, now) for series in instrument.series)
    elif instrument.kind == "counter":
        metric.sum.aggregation_temporality = _CUMULATIVE
        metric.sum.is_monotonic = True
        metric.sum.data_points.extend(_number(series, start, now) for series in instrument.series)
    else:
        metric.gauge.data_points.extend(_number(series, 0, now) for series in instrument.series)
    return metric


def _number(series: Series, start: int, now: int) -> metrics_pb2.NumberDataPoint:
    point = metrics_pb2.NumberDataPoint(
        attributes=_pairs(series.attributes), start_time_unix_nano=start, time_unix_nano=now
    )
    if isinstance(series.value, int):
        point.as_int = series.value
    elif isinstance(series.value, float):
        point.as_double = series.value
    return point


def _distribution(series: Series, start: int, now: int) -> metrics_pb2.HistogramDataPoint:
    value = series.value
    assert isinstance(value, HistogramPoint)  # noqa: S101 - the instrument is a histogram
    return metrics_pb2.HistogramDataPoint(
        attributes=_pairs(series.attributes),
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=sum(value.counts),
        sum=value.sum,
        bucket_counts=value.counts,
        explicit_bounds=value.bounds,
    )


def logs_request(records: Sequence[Record], resource: Resource) -> ExportLogsServiceRequest:
    """Convert log records, grouped by logger."""
    loggers: dict[str, list[logs_pb2.LogRecord]] = {}
    for record in records:
        loggers.setdefault(record.logger, []).append(_record(record))
    scopes = [
        logs_pb2.ScopeLogs(scope=InstrumentationScope(name=logger), log_records=of_it)
        for logger, of_it in loggers.items()
    ]
    return ExportLogsServiceRequest(resource_logs=[logs_pb2.ResourceLogs(resource=resource, scope_logs=scopes)])


def _record(record: Record) -> logs_pb2.LogRecord:
    return logs_pb2.LogRecord(
        time_unix_nano=record.time,
        observed_time_unix_nano=record.time,
        severity_number=severity(record.level),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        severity_text=record.level_name,
        body=AnyValue(string_value=record.body),
        attributes=_pairs(record.attributes.items()),
        trace_id=record.trace_id.to_bytes(16, "big") if record.trace_id else b"",
        span_id=record.span_id.to_bytes(8, "big") if record.span_id else b"",
        flags=record.trace_flags,
    )


def severity(level: int) -> int:
    """Convert a level to OTLP's number: DEBUG 5, INFO 9, WARN 13, ERROR 17, FATAL 21."""
    steps = ((logging.CRITICAL, 21), (logging.ERROR, 17), (logging.WARNING, 13), (logging.INFO, 9), (logging.DEBUG, 5))
    return next((number for least, number in steps if level >= least), 1)


def _pairs(items: Iterable[tuple[str, object]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in items]


def _value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    # protobuf refuses lone surrogates, which occur in names of files
    return AnyValue(string_value=str(value).encode("utf-8", "replace").decode())


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
