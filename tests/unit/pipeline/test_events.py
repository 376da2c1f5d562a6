"""Events of pipelines: emitted to listeners, and counted."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from corten.errors import DeadlineExceeded
from corten.events import CallDegraded, CallFailed, CallRefused, CallRetried, CallTimedOut, Event, Events, PipelineEvent
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.plugins import Observer
from corten.policies import Bulkhead, Cache, Fallback, RateLimit, Retry, Timeout
from corten.policies.combined.policy import Policy
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


class Told:
    """A pipeline with its events in a list."""

    def __init__(self, clock: FakeClock, *policies: Policy, observer: Observer | None = None) -> None:
        self.events, self.heard = Events(), list[Event]()
        self.events.subscribe(self.heard.append)
        self.pipeline = Pipeline("p", *policies)
        observers = () if observer is None else (observer,)
        runtime_of(self.pipeline).bind(
            owner=self, clock=clock, registry=Registry(), events=self.events, observers=observers
        )


async def test_a_refusal_says_which_policy_and_when_to_come_again(clock: FakeClock) -> None:
    told = Told(clock, RateLimit("1/s", burst=1))

    @told.pipeline
    async def work() -> None: ...

    await work()
    with pytest.raises(Exception, match="refused"):
        await work()
    (refused,) = told.heard
    assert isinstance(refused, CallRefused)
    assert (refused.pipeline, refused.policy, refused.retry_after) == ("p", "rate_limit", pytest.approx(1.0))
    assert "token" in refused.reason


async def test_each_attempt_that_is_repeated_is_told_and_the_last_one_as_failed(clock: FakeClock) -> None:
    told = Told(clock, Cache(), Retry(max_attempts=3, initial_backoff=0, jitter=0), Bulkhead(1))

    @told.pipeline
    async def work() -> None:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await work()
    first, second, last = told.heard
    assert isinstance(first, CallRetried)
    assert isinstance(second, CallRetried)
    assert (first.attempt, second.attempt, first.error) == (1, 2, "OSError: away")
    assert isinstance(last, CallFailed)
    assert last.error == "OSError: away"


async def test_a_time_limit_is_told(clock: FakeClock) -> None:
    told = Told(clock, Timeout(2.0))

    @told.pipeline
    async def work() -> None:
        await clock.sleep(10)

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await work()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(3)
    assert [type(each) for each in told.heard] == [CallTimedOut]


async def test_plain_functions_tell_the_same(clock: FakeClock) -> None:
    told = Told(clock, RateLimit("1/s", burst=1))

    @told.pipeline
    def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        work()
    with pytest.raises(Exception, match="refused"):
        work()
    assert [type(each) for each in told.heard] == [CallFailed, CallRefused]


async def test_events_of_pipelines_are_not_remembered_among_recent_events(clock: FakeClock) -> None:
    told = Told(clock, RateLimit("1/s", burst=1))

    @told.pipeline
    async def work() -> None: ...

    await work()
    with pytest.raises(Exception, match="refused"):
        await work()
    assert told.heard
    assert told.events.recent() == ()


async def test_an_observer_that_raises_harms_nobody(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[PipelineEvent] = []

    def observe(event: PipelineEvent) -> None:
        seen.append(event)
        raise RuntimeError("broken observer")

    told = Told(clock, RateLimit("1/s", burst=1), observer=Observer("test", event=observe))

    @told.pipeline
    async def work() -> None: ...

    await work()
    with pytest.raises(Exception, match="rate_limit refused"):
        await work()
    assert len(seen) == 1
    assert "broken observer" in caplog.text


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ((Retry(max_attempts=2, initial_backoff=1), Timeout(2)), [CallRetried, CallTimedOut]),
        ((Timeout(9), Retry(max_attempts=3, initial_backoff=1), Timeout(2)), [CallRetried, CallRetried, CallTimedOut]),
        (
            (Fallback("instead"), Retry(max_attempts=2, initial_backoff=1), Timeout(2)),
            [CallRetried, CallTimedOut, CallDegraded],
        ),
        ((Timeout(2), Retry(max_attempts=2, initial_backoff=1)), [CallTimedOut]),
    ],
)
async def test_a_time_limit_whose_attempt_is_repeated_is_told_as_a_retry_alone(
    clock: FakeClock, policies: tuple[Policy, ...], expected: list[type[Event]]
) -> None:
    told = Told(clock, *policies)
    forever = told.pipeline(anyio.sleep_forever)

    async def run() -> None:
        with suppress(DeadlineExceeded):
            await forever()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(20)
    assert [type(each) for each in told.heard] == expected
