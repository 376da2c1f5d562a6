"""Consumers of an App."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from corten import App
from corten.errors import CortenError, SettingsError
from corten.events import DeadLettered, Event
from corten.testing import FakeClock
from corten.testing.messages import MemoryBroker

pytestmark = pytest.mark.anyio


class Flight(msgspec.Struct):
    number: int


async def test_a_decorated_function_handles_the_messages_of_its_topics() -> None:
    broker, clock = MemoryBroker(), FakeClock()
    app = App("flights", plugins=[broker], autoload=False, config=None, clock=clock)
    seen: list[Flight] = []
    events: list[Event] = []
    app.events.subscribe(events.append, DeadLettered)

    @app.consumer("flights", type=Flight)
    async def handle(flight: Flight) -> None:
        seen.append(flight)

    async with app:
        await app.get(MemoryBroker).send("flights", b'{"number": 7}')
        await app.get(MemoryBroker).send("flights", b'{"number": "seven"}')
        await anyio.wait_all_tasks_blocked()
        assert seen == [Flight(7)]
        (letter,) = await app.dead_letters.list()
        assert letter.cause == "ValidationError"
        assert broker.lag("handle", "flights") == 0
        report = await app.health.run("ready")
        assert report.checks["consumer.handle"].status == "up"
        text = app.registry.render()
        assert 'corten_messages_handled_total{consumer="handle",outcome="success"} 1' in text
        assert 'corten_dead_letters_total{source="handle"} 1' in text
    assert len(events) == 1


async def test_stopping_the_app_finishes_and_commits_started_messages() -> None:
    broker, clock = MemoryBroker(partitions=1), FakeClock()
    app = App("flights", plugins=[broker], autoload=False, config=None, clock=clock)
    release = anyio.Event()

    @app.consumer("flights", type=Flight, name="slow")
    async def handle(flight: Flight) -> None:
        await release.wait()

    async with anyio.create_task_group() as group, app:
        for number in range(3):
            await broker.send("flights", b'{"number": %d}' % number)
        await anyio.wait_all_tasks_blocked()

        async def let_go() -> None:
            await anyio.wait_all_tasks_blocked()
            release.set()

        group.start_soon(let_go)
    assert broker.committed("slow") == {("flights", 0): 1}


async def test_a_missing_source_is_an_error_at_the_start() -> None:
    app = App("flights", autoload=False, config=None)

    @app.consumer("flights", type=Flight)
    async def handle(flight: Flight) -> None: ...

    with pytest.raises(SettingsError, match="consumer 'handle' needs messages from 'kafka'"):
        async with app:
            raise AssertionError


async def test_two_consumers_of_one_name_are_refused() -> None:
    app = App("flights", autoload=False, config=None)

    @app.consumer("flights", type=Flight, name="one")
    async def handle(flight: Flight) -> None: ...

    with pytest.raises(CortenError, match="has a consumer 'one' already"):
        app.consumer("others", type=Flight, name="one")(handle)
