"""Consumers, from the source to the commit, on a broker in memory."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import msgspec
import pytest
from typing_extensions import TypeAliasType

from corten.dead_letters import MemoryDeadLetterStore
from corten.errors import MessageError, RateLimited, ResourceUnavailable
from corten.events import DeadLettered, Degraded, Event, Recovered
from corten.messages import Consumer, ConsumerRunner, MessageDetails, OutgoingMessage, Received
from corten.testing import FakeClock
from corten.testing.messages import MemoryBroker

pytestmark = pytest.mark.anyio


class Flight(msgspec.Struct, frozen=True):
    number: int
    carrier: str = "UA"

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("a flight's number is not negative")


class Bench:
    """A broker, a store, a clock and what happened."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.clock = FakeClock()
        self.store = MemoryDeadLetterStore()
        self.events: list[Event] = []

    def runner(self, handler: Callable[[Any], Awaitable[object]], **options: Any) -> ConsumerRunner:
        consumer = Consumer("flights", ("flights",), handler, **{"type": Flight, **options})
        return ConsumerRunner(consumer, self.broker.source, store=self.store, clock=self.clock, emit=self.events.append)

    @asynccontextmanager
    async def running(
        self, handler: Callable[[Any], Awaitable[object]], **options: Any
    ) -> AsyncIterator[ConsumerRunner]:
        runner = self.runner(handler, **options)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run)
            await anyio.wait_all_tasks_blocked()
            yield runner
            await runner.stop()

    async def publish(self, *numbers: int, key: bytes | None = None) -> None:
        await self.broker.send_many(
            OutgoingMessage("flights", msgspec.json.encode({"number": number}), key or b"%d" % number)
            for number in numbers
        )
        await anyio.wait_all_tasks_blocked()

    @property
    def lag(self) -> int:
        return self.broker.lag("flights", "flights")


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_each_message_is_decoded_handled_and_committed(bench: Bench) -> None:
    seen: list[Flight] = []

    async def handle(flight: Flight) -> None:
        seen.append(flight)

    async with bench.running(handle) as runner:
        await bench.publish(*range(100))
        assert sorted(flight.number for flight in seen) == list(range(100))
        assert bench.lag == 0
        assert runner.statistics().handled == 100
        assert runner.statistics().in_flight == 0


async def test_a_batch_handler_gets_lists_of_at_most_its_size(bench: Bench) -> None:
    sizes: list[int] = []
    seen: list[int] = []

    async def store(flights: list[Flight]) -> None:
        sizes.append(len(flights))
        seen.extend(flight.number for flight in flights)

    async with bench.running(store, batch=30):
        await bench.publish(*range(100))
        assert sorted(seen) == list(range(100))
        assert max(sizes) == 30
        assert bench.lag == 0


async def test_the_type_is_read_from_the_annotation(bench: Bench) -> None:
    seen: list[Received[Flight]] = []

    async def handle(flight: Received[Flight]) -> None:
        seen.append(flight)

    async with bench.running(handle, type=msgspec.UNSET):
        await bench.publish(7, key=b"k")
    assert seen[0].value == Flight(7)
    assert seen[0].message.key == b"k"


async def test_a_batch_of_received_values_knows_its_messages(bench: Bench) -> None:
    seen: list[Received[Flight]] = []

    async def handle(flights: list[Received[Flight]]) -> None:
        seen.extend(flights)

    async with bench.running(handle, type=msgspec.UNSET, batch=10):
        await bench.publish(1, -1, 2)
    assert {(each.value.number, each.message.value) for each in seen} == {(1, b'{"number":1}'), (2, b'{"number":2}')}


async def test_an_annotation_may_be_an_alias_at_any_depth(bench: Bench) -> None:
    # What a `type` statement makes since Python 3.12, on every Python.
    seen: list[object] = []
    item = TypeVar("item")
    whole = TypeAliasType("whole", Flight)
    one = TypeAliasType("one", Received[Flight])
    many = TypeAliasType("many", list[item], type_params=(item,))

    async def handle(flight: object) -> None:
        seen.append(flight)

    async def handle_batch(flights: object) -> None:
        seen.append(flights)

    handle.__annotations__["flight"] = whole
    handle_batch.__annotations__["flights"] = many[one]
    async with bench.running(handle, type=msgspec.UNSET):
        await bench.publish(7)
    async with bench.running(handle_batch, type=msgspec.UNSET, batch=10, group="batches"):
        pass
    flight, (received,) = seen
    assert flight == Flight(7)
    assert isinstance(received, Received)
    assert received.value == Flight(7)


async def test_bytes_arrive_as_they_are(bench: Bench) -> None:
    seen: list[bytes] = []

    async def handle(value: bytes) -> None:
        seen.append(value)

    async with bench.running(handle, type=bytes):
        await bench.broker.send("flights", b"not json")
        await anyio.wait_all_tasks_blocked()
    assert seen == [b"not json"]


async def test_a_handler_without_type_or_annotation_is_refused_by_name() -> None:
    async def handle(flight):  # type: ignore[no-untyped-def]
        raise AssertionError

    bench = Bench()
    with pytest.raises(TypeError, match="consumer 'flights': there is no type to decode to"):
        bench.runner(handle, type=msgspec.UNSET)


async def test_a_plain_function_is_refused() -> None:
    with pytest.raises(TypeError, match="not an async function"):
        Consumer("flights", ("flights",), lambda flight: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("batch", [None, 10])
async def test_an_undecodable_message_is_a_dead_letter_with_its_cause(bench: Bench, batch: int | None) -> None:
    async def handle(_: object) -> None: ...

    async with bench.running(handle, batch=batch):
        await bench.publish(1, -5)
        await bench.broker.send("flights", b"{broken")
        await anyio.wait_all_tasks_blocked()
        letters = await bench.store.list(source="flights")
        assert sorted((letter.value, letter.cause) for letter in letters) == [
            (b'{"number":-5}', "ValidationError"),
            (b"{broken", "DecodeError"),
        ]
        assert any("not negative" in letter.reason for letter in letters)
        assert bench.lag == 0
    assert [event.count for event in bench.events if isinstance(event, DeadLettered)] == [1, 1]


async def test_an_error_that_no_attempt_cures_is_a_dead_letter_at_once(bench: Bench) -> None:
    calls = 0

    async def handle(_: Flight) -> None:
        nonlocal calls
        calls += 1
        raise KeyError("carrier")

    async with bench.running(handle) as runner:
        await bench.publish(1)
        (letter,) = await bench.store.list()
        assert (letter.cause, letter.attempts, calls) == ("KeyError", 1, 1)
        assert bench.lag == 0
        assert runner.statistics().dead_lettered == 1


async def test_a_failing_batch_is_halved_until_the_bad_ones_stand_alone(bench: Bench) -> None:
    stored: list[int] = []

    async def store(flights: list[Flight]) -> None:
        if any(flight.number % 20 == 13 for flight in flights):
            raise MessageError("unlucky")
        stored.extend(flight.number for flight in flights)

    async with bench.running(store, batch=100):
        await bench.publish(*range(100))
        assert sorted(stored) == [number for number in range(100) if number % 20 != 13]
        letters = await bench.store.list()
        assert sorted(msgspec.json.decode(letter.value)["number"] for letter in letters) == [13, 33, 53, 73, 93]
        assert bench.lag == 0


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(), TimeoutError(), ResourceUnavailable("away"), RateLimited("p", "rate_limit", "")]
)
@pytest.mark.parametrize("batch", [None, 10])
async def test_a_retryable_error_is_tried_again_and_never_a_dead_letter(
    bench: Bench, error: Exception, batch: int | None
) -> None:
    away = True
    handled = 0

    async def handle(_: object) -> None:
        nonlocal handled
        if away:
            raise error
        handled += 1

    async with bench.running(handle, batch=batch) as runner:
        await bench.publish(1)
        await bench.clock.advance(300)
        assert bench.lag == 1
        assert runner.statistics().retries > 5
        away = False
        await bench.clock.advance(30)
        assert (handled, bench.lag, await bench.store.count()) == (1, 0, 0)


async def test_a_missing_server_emits_degraded_and_then_recovered(bench: Bench) -> None:
    away = True

    async def handle(_: Flight) -> None:
        if away:
            raise ConnectionRefusedError("no database")

    async with bench.running(handle) as runner:
        await bench.publish(1)
        await bench.clock.advance(5)
        finding = await runner.check()
        assert finding.status == "degraded"
        assert "no database" in finding.message
        away = False
        await bench.clock.advance(30)
        assert (await runner.check()).status == "up"
    assert [type(event) for event in bench.events] == [Degraded, Recovered]


async def test_a_refusal_says_when_to_try_again(bench: Bench) -> None:
    times: list[float] = []

    async def handle(_: Flight) -> None:
        times.append(bench.clock.now())
        if len(times) < 3:
            raise RateLimited("rates", "rate_limit", "no token", retry_after=7.0)

    async with bench.running(handle):
        await bench.publish(1)
        await bench.clock.advance(20)
    assert [round(after - before) for before, after in itertools.pairwise(times)] == [7, 7]


async def test_max_attempts_ends_even_retryable_errors(bench: Bench) -> None:
    async def handle(_: Flight) -> None:
        raise TimeoutError("always")

    async with bench.running(handle, max_attempts=3):
        await bench.publish(1)
        await bench.clock.advance(60)
        (letter,) = await bench.store.list()
        assert letter.attempts == 3
        assert bench.lag == 0


async def test_a_full_dead_letter_store_holds_the_commit_back(bench: Bench) -> None:
    bench.store.max_letters = 1

    async def handle(_: Flight) -> None:
        raise KeyError("bad")

    async with bench.running(handle) as runner:
        await bench.publish(1, 2, 3, key=b"same")
        await bench.clock.advance(60)
        assert (bench.lag, await bench.store.count()) == (2, 1)
        assert "dead letters" in (await runner.check()).message
        bench.store.max_letters = 10
        await bench.clock.advance(60)
        assert (bench.lag, await bench.store.count()) == (0, 3)
    assert [type(event) for event in bench.events] == [
        DeadLettered, Degraded, Recovered, DeadLettered, DeadLettered,
    ]  # fmt: skip


async def test_without_dead_letters_the_consumer_fails_and_commits_only_earlier_messages(bench: Bench) -> None:
    async def handle(flight: Flight) -> None:
        if flight.number == 2:
            raise KeyError("bad")

    runner = bench.runner(handle, dead_letters=False)
    await bench.publish(1, 2, 3, key=b"same")
    with pytest.raises(MessageError, match="keeps no dead letters: KeyError: 'bad'"):
        await runner.run()
    assert bench.lag == 2


async def test_messages_of_a_key_stay_in_order_while_keys_overlap(bench: Bench) -> None:
    running = 0
    most = 0
    seen: dict[bytes | None, list[int]] = {}

    async def handle(flight: Received[Flight]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await bench.clock.sleep(flight.value.number % 7 + 1)
        seen.setdefault(flight.message.key, []).append(flight.value.number)
        running -= 1

    async with bench.running(handle, type=msgspec.UNSET, concurrency=8):
        for number in range(200):
            await bench.broker.send("flights", msgspec.json.encode({"number": number}), key=b"key %d" % (number % 17))
        await anyio.wait_all_tasks_blocked()
        await bench.clock.advance(1000)
        assert bench.lag == 0
    assert sum(map(len, seen.values())) == 200
    assert all(numbers == sorted(numbers) for numbers in seen.values())
    assert 1 < most <= 8


async def test_only_the_unbroken_beginning_is_committed(bench: Bench) -> None:
    bench.broker = MemoryBroker(partitions=1)
    release = anyio.Event()

    async def handle(flight: Flight) -> None:
        if flight.number == 3:
            await release.wait()

    async with bench.running(handle, concurrency=4):
        for number in range(20):
            await bench.broker.send("flights", msgspec.json.encode({"number": number}), key=b"%d" % number)
        await anyio.wait_all_tasks_blocked()
        await bench.clock.advance(1)
        assert bench.broker.committed("flights") == {("flights", 0): 3}
        release.set()
        await bench.clock.advance(1)
        assert bench.broker.committed("flights") == {("flights", 0): 20}


async def test_stopping_finishes_started_messages_and_leaves_the_rest(bench: Bench) -> None:
    bench.broker = MemoryBroker(partitions=1)
    release = anyio.Event()
    handled: list[int] = []

    async def handle(flight: Flight) -> None:
        await release.wait()
        handled.append(flight.number)

    runner = bench.runner(handle)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await bench.publish(1, 2, 3)
        await runner.stop()
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert handled == [1]
    assert bench.broker.committed("flights") == {("flights", 0): 1}


async def test_stopping_does_not_wait_for_a_server_that_is_away(bench: Bench) -> None:
    async def handle(_: Flight) -> None:
        raise ConnectionRefusedError

    async with bench.running(handle):
        await bench.publish(1)
    assert bench.lag == 1


async def test_a_message_that_fails_while_stopping_is_left_at_once(bench: Bench) -> None:
    release = anyio.Event()

    async def handle(_: Flight) -> None:
        await release.wait()
        raise RateLimited("p", "rate_limit", "no token", 3600.0)

    runner = bench.runner(handle)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await bench.publish(1)
        await runner.stop()
        release.set()
    assert bench.lag == 1
    assert await bench.store.count() == 0


async def test_dead_letters_that_cannot_be_stored_do_not_hold_up_stopping(bench: Bench) -> None:
    bench.store = MemoryDeadLetterStore(max_letters=0)
    release = anyio.Event()

    async def handle(_: Flight) -> None:
        await release.wait()
        raise ValueError

    runner = bench.runner(handle)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await bench.publish(1)
        await runner.stop()
        release.set()
    assert bench.lag == 1


async def test_failed_commits_are_repeated(bench: Bench) -> None:
    async def handle(_: Flight) -> None:
        bench.broker.available = False

    async with bench.running(handle):
        await bench.publish(1)
        assert bench.lag == 1
        bench.broker.available = True
        await bench.clock.advance(60)
        assert bench.lag == 0


async def test_a_second_member_takes_partitions_over_without_losing_or_repeating(bench: Bench) -> None:
    seen: list[int] = []

    async def handle(flight: Flight) -> None:
        await bench.clock.sleep(0.5)
        seen.append(flight.number)

    async with bench.running(handle):
        await bench.publish(*range(40))
        await bench.clock.advance(3.2)
        async with bench.running(handle):
            await bench.clock.advance(30)
            assert bench.lag == 0
            assert sorted(seen) == list(range(40))


async def test_a_partition_that_goes_away_is_first_finished_and_committed(bench: Bench) -> None:
    bench.broker = MemoryBroker(partitions=2)
    begun: list[int] = []
    release = anyio.Event()

    async def slow(flight: Flight) -> None:
        begun.append(flight.number)
        await release.wait()

    async def quick(flight: Flight) -> None:
        begun.append(flight.number)

    async with bench.running(slow):
        await bench.broker.send("flights", b'{"number": 0}')  # without a key the first goes to partition 1,
        await anyio.wait_all_tasks_blocked()
        await bench.publish(*range(1, 12))
        async with anyio.create_task_group() as group:
            group.start_soon(bench.runner(quick).run)  # which the second member takes over
            await anyio.wait_all_tasks_blocked()
            assert begun == [0], "the second member begins only when the first has finished"
            release.set()
            await bench.clock.advance(5)
            assert bench.lag == 0
            assert sorted(begun) == list(range(12))
            group.cancel_scope.cancel()


async def test_a_member_that_does_not_finish_in_time_loses_the_partition_without_committing(bench: Bench) -> None:
    bench.broker = MemoryBroker(partitions=1)
    release = anyio.Event()

    async def hang(_: Flight) -> None:
        await release.wait()

    async with bench.running(hang, finish_within=5.0):
        await bench.publish(1, 2)
        tracked = bench.broker.committed("flights")
        member = bench.broker._groups["flights"][0]
        async with anyio.create_task_group() as group:
            group.start_soon(member.give_up, frozenset({("flights", 0)}))
            await bench.clock.advance(4.9)
            assert member.assigned()
            await bench.clock.advance(0.2)
            assert not member.assigned()
        release.set()
        await bench.clock.advance(1)
        assert bench.broker.committed("flights") == tracked == {}


async def test_a_waiting_batch_releases_revoked_partitions_and_continues_with_the_others(bench: Bench) -> None:
    bench.broker = MemoryBroker(partitions=2)
    away = True
    stored: list[int] = []

    async def store(flights: list[Received[Flight]]) -> None:
        if away:
            raise ConnectionRefusedError
        stored.extend(each.message.partition for each in flights)

    async with bench.running(store, type=msgspec.UNSET, batch=100):
        await bench.publish(*range(20))
        member = bench.broker._groups["flights"][0]
        await member.give_up(frozenset({("flights", 0)}))
        away = False
        await bench.clock.advance(60)
        assert set(stored) == {1}
        assert bench.broker.committed("flights") == {("flights", 1): len(stored)}


async def test_batches_run_side_by_side_for_different_partitions(bench: Bench) -> None:
    running = most = 0
    offsets: dict[int, list[int]] = {}

    async def store(flights: list[Received[Flight]]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await bench.clock.sleep(1)
        for each in flights:
            offsets.setdefault(each.message.partition, []).append(each.message.offset)
        running -= 1

    async with bench.running(store, type=msgspec.UNSET, batch=10, concurrency=2):
        await bench.publish(*range(100))
        await bench.clock.advance(60)
        assert bench.lag == 0
    assert most == 2
    assert all(each == list(range(len(each))) for each in offsets.values())


async def test_a_source_that_fails_fails_the_run_and_the_runner_can_run_again(bench: Bench) -> None:
    seen: list[int] = []

    async def handle(flight: Flight) -> None:
        seen.append(flight.number)

    runner = bench.runner(handle)
    opened = bench.broker._open
    broken = True

    async def receive() -> Any:
        raise ResourceUnavailable("broker away")

    @asynccontextmanager
    async def open_once(*args: Any) -> AsyncIterator[Any]:
        async with opened(*args) as member:
            if broken:
                member.receive = receive  # type: ignore[method-assign]
            yield member

    runner._source = type(runner._source)("kafka", open_once)
    with pytest.raises(ResourceUnavailable, match="broker away"):
        await runner.run()
    broken = False
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await bench.publish(1)
        await runner.stop()
    assert seen == [1]


async def test_observers_surround_the_handling(bench: Bench) -> None:
    told: list[MessageDetails] = []
    inside = False

    class Around:
        def __enter__(self) -> None:
            nonlocal inside
            inside = True

        def __exit__(self, *_: object) -> None:
            nonlocal inside
            inside = False

    def observe(details: MessageDetails) -> Around:
        told.append(details)
        return Around()

    async def handle(_: Flight) -> None:
        assert inside

    consumer = Consumer("flights", ("flights",), handle, type=Flight)
    runner = ConsumerRunner(consumer, bench.broker.source, store=bench.store, clock=bench.clock, observers=[observe])
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await bench.broker.send("flights", b'{"number": 1}', headers={"traceparent": b"00"})
        await anyio.wait_all_tasks_blocked()
        await runner.stop()
    assert told == [MessageDetails("process", "flights", "flights", 1, {"traceparent": b"00"})]
    assert runner.statistics().handled == 1


async def test_a_cancelled_run_closes_its_subscription(bench: Bench) -> None:
    async def handle(_: Flight) -> None:
        await anyio.sleep_forever()

    runner = bench.runner(handle)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await bench.publish(1)
        group.cancel_scope.cancel()
    assert bench.broker._groups["flights"] == []
    assert bench.lag == 1
