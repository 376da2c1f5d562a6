"""What Corten is told about Kafka: settings, resources, sources, checks, gauges, a broker for development."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from corten.health import Check, Finding
from corten.hookspecs import hookimpl
from corten.messages import MessageSource
from corten.metrics import Collector, Measurement
from corten.plugins import DevService, Observer, Resource
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

    requires_corten = ">=0.1"

    def __init__(self) -> None:
        self._settings: dict[str, KafkaSettings] = {}

    @hookimpl
    def corten_settings(self) -> Sequence[Section]:
        """The section ``[kafka]``; each sub-table is a cluster more."""
        return [SECTION]

    @hookimpl
    def corten_dev_services(self) -> Sequence[DevService]:
        """A Kafka-compatible broker in memory, from a wheel."""
        return [DEV_SERVICE]

    @hookimpl
    def corten_resources(self, app: App[Any]) -> Sequence[Resource]:
        """A producer for each instance."""
        self._settings = dict(cast("dict[str, KafkaSettings]", app.section("kafka")))
        return [
            Resource(provides=Kafka, name=instance, open=_opener(settings))
            for instance, settings in self._settings.items()
        ]

    @hookimpl
    def corten_message_sources(self, app: App[Any]) -> Sequence[MessageSource]:
        """``kafka``, or ``kafka.<instance>``."""
        return [MessageSource(_label(instance), app.get(Kafka, instance).subscribe) for instance in self._settings]

    @hookimpl
    def corten_health_checks(self, app: App[Any]) -> Sequence[Check]:
        """Whether a broker of each cluster answers."""
        return [Check(_label(instance), _check(app.get(Kafka, instance)), fresh=2.0) for instance in self._settings]

    @hookimpl
    def corten_metrics(self, app: App[Any]) -> Sequence[Collector]:
        """Lags of the consumers, and what the producers have done."""
        clusters = {instance: app.get(Kafka, instance) for instance in self._settings}
        return [Collector("kafka", lambda: measurements(clusters.items()))]


def measurements(clusters: Iterable[tuple[str, Kafka]]) -> Iterable[Measurement]:
    """What producers and consumers show of themselves at this moment."""
    for instance, kafka in clusters:
        now = kafka.statistics()
        attributes = (("client", instance),)
        yield Measurement(
            "corten_kafka_producer_queued", now.queued, attributes, "Messages sent and not acknowledged yet."
        )
        for name, value, description in (
            ("sent", now.sent, "Messages acknowledged by the cluster."),
            ("failed", now.failed, "Messages that were not acknowledged."),
        ):
            yield Measurement(f"corten_kafka_producer_{name}", value, attributes, description, kind="counter")
        yield from kafka.lag.measurements(instance)


def _opener(settings: KafkaSettings) -> Callable[[App[Any]], AbstractAsyncContextManager[Kafka]]:
    @asynccontextmanager
    async def opened(app: App[Any]) -> AsyncGenerator[Kafka, None]:
        def observers() -> Sequence[Observer]:
            return app.observers

        async with Kafka.open(settings, app=app.name, observers=observers) as kafka:
            yield kafka

    return opened


def _check(kafka: Kafka) -> Callable[[], Awaitable[Finding]]:
    async def run() -> Finding:
        brokers = await kafka.ping(1.8)
        now = kafka.statistics()
        return Finding("up", "", {"brokers": brokers, "queued": now.queued, "failed": now.failed})

    return run


def _label(instance: str) -> str:
    return "kafka" if instance == "default" else f"kafka.{instance}"
