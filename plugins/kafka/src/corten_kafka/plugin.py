"""The plugin ``kafka``: settings, producers, sources, checks, gauges, a broker for development."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from corten.health import Check, Finding
from corten.hookspecs import hookimpl
from corten.messages import MessageSource
from corten.metrics import Collector, Measurement
from corten.plugins import DevService, Instances, Resource
from corten.settings import Section
from corten_kafka.dev_service import DEV_SERVICE
from corten_kafka.kafka import Kafka
from corten_kafka.settings import KafkaSettings

if TYPE_CHECKING:
    from corten.app import App

SECTION = Section(
    name="kafka",
    type=KafkaSettings,
    instances=True,
    aliases={"KAFKA_BOOTSTRAP_SERVERS": "bootstrap_servers"},
    activated_by=("bootstrap_servers",),
)


class KafkaPlugin:
    """The plugin ``kafka``."""

    def __init__(self) -> None:
        self._instances = Instances(SECTION, Kafka)

    @hookimpl
    def corten_settings(self) -> Sequence[Section[Any]]:
        """The section ``[kafka]``; each sub-table is another cluster."""
        return [SECTION]

    @hookimpl
    def corten_dev_services(self) -> Sequence[DevService]:
        """A Kafka-compatible broker in memory, from a wheel."""
        return [DEV_SERVICE]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        """A producer for each instance."""
        return self._instances.resources(app, _open)

    @hookimpl
    def corten_message_sources(self, app: App[Any]) -> Sequence[MessageSource]:
        """``kafka``, or ``kafka.<instance>``."""
        return [MessageSource(each.label, each.resource.subscribe) for each in self._instances.opened(app)]

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Whether a broker of each cluster answers."""
        return [Check(each.label, _check(each.resource), fresh=2.0) for each in self._instances.opened(app)]

    @hookimpl
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """Lags of the consumers, and counts of the producers."""
        return self._instances.collectors(app, measurements)


def measurements(instance: str, kafka: Kafka) -> Iterable[Measurement]:
    """Return what the producer and the consumers of an instance show now."""
    now = kafka.statistics()
    attributes = (("client", instance),)
    yield Measurement("corten_kafka_producer_queued", now.queued, attributes, "Messages sent and not acknowledged yet.")
    for name, value, description in (
        ("sent", now.sent, "Messages acknowledged by the cluster."),
        ("failed", now.failed, "Messages that were not acknowledged."),
    ):
        yield Measurement(f"corten_kafka_producer_{name}", value, attributes, description, kind="counter")
    yield from kafka.lag.measurements(instance)


def _open(app: App[Any], instance: str, settings: KafkaSettings) -> AbstractAsyncContextManager[Kafka]:  # noqa: ARG001
    return Kafka.open(settings, app=app.name, observers=lambda: app.observers)


def _check(kafka: Kafka) -> Callable[[], Awaitable[Finding]]:
    async def run() -> Finding:
        brokers = await kafka.ping(1.8)
        now = kafka.statistics()
        return Finding("up", "", {"brokers": brokers, "queued": now.queued, "failed": now.failed})

    return run
