"""When it opens, what it lets through, and who decides."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from corten.errors import CircuitOpen, DeadlineExceeded, RateLimited
from corten.events import BreakerChanged, Events
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.pipeline.pipeline import runtime_of
from corten.policies import CircuitBreaker, RateLimit, Timeout
from corten.testing import FakeClock, cancel_at_each_await

pytestmark = pytest.mark.anyio


async def answer(error: Exception | None = None) -> int:
    if error is not None:
        raise error
    return 1


async def fail(guarded: Callable[..., Any], error: Exception | None = None) -> None:
    with pytest.raises(type(error or ValueError())):
        await guarded(error or ValueError())


async def test_failures_in_a_row_open_it_and_a_trial_closes_it(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=2, open_for=30))
    guarded = guard(answer)
    await fail(guarded)
    await guarded()
    await fail(guarded)
    await fail(guarded)
    with pytest.raises(CircuitOpen) as caught:
        await guarded()
    assert caught.value.retry_after == 30
    clock.tick(30)
    assert await guarded() == 1
    assert guard.statistics().breakers[0].state == "closed"


async def test_half_open_lets_so_many_trials_through(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, open_for=30, half_open_calls=2))
    guarded = guard(answer)
    hold = anyio.Event()

    @guard
    async def trial() -> None:
        await hold.wait()

    await fail(guarded)
    clock.tick(30)
    async with anyio.create_task_group() as group:
        group.start_soon(trial)
        group.start_soon(trial)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(CircuitOpen) as caught:
            await guarded()
        assert caught.value.retry_after is None
        hold.set()
    assert guard.statistics().breakers[0].state == "closed"


async def test_a_cancelled_trial_gives_its_permit_back(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, open_for=30))
    guarded = guard(answer)

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    await fail(guarded)
    clock.tick(30)
    async with anyio.create_task_group() as group:
        group.start_soon(forever)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert await guarded() == 1


async def test_a_failed_trial_opens_it_for_another_wait(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, open_for=30))
    guarded = guard(answer)
    await fail(guarded)
    clock.tick(30)
    await fail(guarded)
    with pytest.raises(CircuitOpen):
        await guarded()
    assert guard.statistics().breakers[0].opened == 2


async def test_a_timeout_inside_counts(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1), Timeout(2))

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    async def run() -> None:
        with pytest.raises(DeadlineExceeded):
            await forever()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(2)
    with pytest.raises(CircuitOpen):
        await forever()


async def test_to_a_breaker_inside_a_timeout_the_call_was_cancelled(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(Timeout(2), CircuitBreaker(failures=1))

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    async def run() -> None:
        with pytest.raises(DeadlineExceeded):
            await forever()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.advance(2)
    assert guard.statistics().breakers[0].state == "closed"
    assert guard.statistics().timeouts == 1


async def test_refusals_inside_are_no_failures(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1), RateLimit("1/min", burst=1))
    guarded = guard(answer)
    await guarded()
    for _ in range(3):
        with pytest.raises(RateLimited):
            await guarded()


async def test_types_decide_what_is_a_failure(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, on=(LookupError,), ignore=(KeyError,)))
    guarded = guard(answer)
    await fail(guarded, ValueError())
    await fail(guarded, KeyError())
    assert guard.statistics().breakers[0].state == "closed"
    await fail(guarded, IndexError())
    assert guard.statistics().breakers[0].state == "open"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"failures": 0}, "failures is 0"),
        ({"open_for": 0}, "open_for is 0; it must be a number above zero"),
        ({"successes": 0}, "successes is 0"),
        ({"failure_rate": 0}, "failure_rate is 0; it must be a number above zero"),
        ({"failure_rate": 50}, "failure_rate is 50; it is a part of the calls, above 0 to 1"),
        ({"failure_rate": float("nan")}, "failure_rate is nan"),
        ({"slow_rate": 0.5}, "slow_rate needs slow_call"),
        ({"slow_call": -1.0}, "slow_call is -1.0"),
        ({"window": 100}, "window needs a failure_rate or a slow_call"),
        ({"failures": 3, "min_calls": 10}, "min_calls needs a failure_rate"),
        (
            {"failure_rate": 0.5, "window": 10, "min_calls": 11},
            "min_calls is 11, but the window never has more than 10",
        ),
        ({"failure_rate": 0.5, "window": 0}, "window is 0; it must be a whole number from 1 to 1000000"),
        ({"failure_rate": 0.5, "window": True}, "window is True"),
        ({"failure_rate": 0.5, "window": 0.0}, "window is 0.0; it must be a number above zero"),
        ({"failure_rate": 0.5, "window": "soon"}, "window is 'soon'; it must be a whole number of calls, or a time"),
        ({"growth": 0.5}, "growth is 0.5"),
        ({"growth": 2.0, "open_for": 60, "max_open_for": 30}, r"max_open_for is 30, less than open_for \(60\)"),
        ({"max_half_open": 0}, "max_half_open is 0"),
        ({"predicate": "nowhere:at_all"}, "predicate is 'nowhere:at_all', which can't be found"),
        ({"predicate": 3}, "predicate is 3, which can't be called"),
        ({"name": " "}, "name is ' '; it must be some text"),
        ({"half_open_calls": -1}, "half_open_calls"),
        ({"failures": 2**32}, "failures is 4294967296; it must be a whole number from 1 to 4294967295"),
    ],
)
def test_impossible_policies_are_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"circuit_breaker: {words}"):
        CircuitBreaker(**wrong)


async def test_each_change_of_state_is_an_event_that_says_why(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=2, open_for=30), name="rates")
    guarded = guard(answer)
    events, heard = Events(), list[BreakerChanged]()
    events.subscribe(heard.append, BreakerChanged)
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), events=events)
    await fail(guarded)
    await fail(guarded, OSError("postgres://me:secret@host is away"))
    clock.tick(30)
    await guarded()
    guard.breakers[0].force_open()
    assert [(event.before, event.after, event.reason) for event in heard] == [
        ("closed", "open", "2 failures in a row"),
        ("open", "half_open", "open for 30 s"),
        ("half_open", "closed", "1 half-open call succeeded"),
        ("closed", "forced_open", "forced by hand"),
    ]
    assert [event.error for event in heard] == ["OSError: postgres://me:<secret>@host is away", "", "", ""]
    assert {event.pipeline for event in heard} == {"rates"}


async def test_a_refusal_says_why_it_opened_and_keeps_no_exception(pipeline: Callable[..., Pipeline]) -> None:
    class Away(Exception):
        pass

    guarded = pipeline(CircuitBreaker(failures=2))(answer)
    error = Away("the server is away; password=hunter2")
    kept = weakref.ref(error)
    await fail(guarded, error)
    await fail(guarded, error)
    del error
    with pytest.raises(CircuitOpen) as caught:
        await guarded()
    assert "the circuit is open: 2 failures in a row; last failure: Away: the server is away" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    gc.collect()
    assert kept() is None


async def test_a_failure_rate_over_the_last_calls_opens_it(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failure_rate=0.5, window=10, min_calls=4))
    guarded = guard(answer)
    for _ in range(3):
        await fail(guarded)
    assert guard.breakers[0].state == "closed", "too few calls to say"
    await guarded()
    seen = guard.statistics().breakers[0]
    assert (seen.state, seen.calls, seen.failed, seen.failure_rate) == ("open", 4, 3, 0.75)
    assert seen.reason == "failure rate 75 % of 4 calls"
    assert seen.last_failure == "ValueError"


async def test_only_the_last_while_is_in_a_time_window(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failure_rate=0.5, window="20s", min_calls=3))
    guarded = guard(answer)
    await fail(guarded)
    await fail(guarded)
    clock.tick(21)
    await guarded()
    assert (guard.breakers[0].statistics().calls, guard.breakers[0].state) == (1, "closed")
    clock.tick(10**9)
    assert guard.breakers[0].statistics().calls == 0


async def test_slow_calls_open_it_though_they_succeed(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(slow_call=2.0, window=10, min_calls=2))

    @guard
    async def slow(seconds: float) -> None:
        clock.tick(seconds)

    await slow(2.0)
    await slow(2.5)
    assert guard.breakers[0].statistics().reason == "slow-call rate 50 % of 2 calls (over 2 s)"
    clock.tick(60)
    await slow(3.0)
    assert guard.breakers[0].statistics().reason == "a half-open call was slow: 3.000 s"
    clock.tick(60)
    await slow(1.0)
    assert guard.breakers[0].state == "closed"


async def test_a_call_that_suspends_is_timed_from_the_breaker_on(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(RateLimit("1/min", burst=1, max_wait=60), CircuitBreaker(slow_call=5.0, window=10, min_calls=1))

    @guard
    async def wait() -> None:
        await clock.sleep(4)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(wait)
        await clock.advance(4)
        await clock.advance(60)
    seen = guard.statistics().breakers[0]
    assert (seen.calls, seen.slow) == (2, 0), "the wait for a token is outside of the breaker"


def test_plain_functions_are_guarded_alike(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failure_rate=1.0, slow_call=1.0, window=4, min_calls=2))

    @guard
    def call(seconds: float) -> float:
        clock.tick(seconds)
        return seconds

    assert call(1.0) == 1.0
    assert call(1.5) == 1.5
    with pytest.raises(CircuitOpen, match=r"slow-call rate 50 % of 2 calls \(over 1 s\)"):
        call(0)


async def test_a_predicate_says_what_is_a_failure(pipeline: Callable[..., Pipeline]) -> None:
    def is_ours(error: Exception) -> bool:
        return "ours" in str(error)

    guard = pipeline(CircuitBreaker(failures=2, on=(LookupError,), ignore=(KeyError,), predicate=is_ours))
    guarded = guard(answer)
    await fail(guarded, ValueError("theirs"))
    await fail(guarded, KeyError("ours"))
    assert guard.breakers[0].statistics().failures == 0
    await fail(guarded, LookupError("theirs"))
    await fail(guarded, ValueError("ours"))
    assert guard.breakers[0].state == "open"


async def test_refusals_are_no_failures_to_a_predicate_which_can_be_a_name(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, predicate="builtins:bool"), RateLimit("1/min", burst=1))
    guarded = guard(answer)
    await guarded()
    with pytest.raises(RateLimited):
        await guarded()
    assert guard.breakers[0].state == "closed"


async def test_a_predicate_that_fails_ends_the_call_and_gives_the_trial_back(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    def broken(error: Exception) -> bool:
        raise RuntimeError("no idea")

    guard = pipeline(CircuitBreaker(predicate=broken))
    guarded = guard(answer)
    guard.breakers[0].open()
    clock.tick(60)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="no idea") as caught:
            await guarded(ValueError("its words"))
        assert isinstance(caught.value.__context__, ValueError)
    assert guard.breakers[0].state == "half_open"
    assert await guarded() == 1


async def test_a_hung_trial_does_not_keep_it_half_open(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, open_for=30, max_half_open=20))
    guarded = guard(answer)

    @guard
    async def forever() -> None:
        await anyio.sleep_forever()

    await fail(guarded)
    clock.tick(30)
    async with anyio.create_task_group() as group:
        group.start_soon(forever)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(CircuitOpen, match="half open and its calls are under way; it opened after 1 failure"):
            await guarded()
        clock.tick(20)
        with pytest.raises(CircuitOpen, match="no half-open call ended within 20 s") as caught:
            await guarded()
        assert caught.value.retry_after == 30
        clock.tick(30)
        assert await guarded() == 1
        group.cancel_scope.cancel()
    assert guard.breakers[0].state == "closed"


async def test_more_successes_than_trials_at_once_can_be_asked_for(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=1, open_for=30, half_open_calls=1, successes=3))
    guarded = guard(answer)
    await fail(guarded)
    clock.tick(30)
    for _ in range(3):
        assert guard.breakers[0].state != "closed"
        await guarded()
    assert guard.breakers[0].state == "closed"


async def test_the_wait_grows_while_it_does_not_get_well(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, open_for=10, growth=2.0, max_open_for=30))
    guarded = guard(answer)
    for wait in (10, 20, 30, 30):
        await fail(guarded)
        assert guard.statistics().breakers[0].retry_after == wait
        clock.tick(wait)
    await guarded()
    clock.tick(30)
    await fail(guarded)
    assert guard.statistics().breakers[0].retry_after == 10, "it was closed for as long as it was open"


async def test_what_the_error_asks_for_is_waited_for_up_to_the_longest_wait(
    pipeline: Callable[..., Pipeline],
) -> None:
    class TooMany(Exception):
        def __init__(self, retry_after: float) -> None:
            self.retry_after = retry_after

    for asked, wait in ((1.0, 60), (120.0, 120), (1e9, 600)):
        guard = pipeline(CircuitBreaker(failures=1))
        with pytest.raises(TooMany):
            await guard(answer)(TooMany(asked))
        assert guard.statistics().breakers[0].retry_after == wait


async def test_all_states_by_hand(clock: FakeClock, pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failures=1, open_for=30))
    guarded, breaker = guard(answer), guard.breakers[0]
    breaker.force_open()
    clock.tick(10**6)
    with pytest.raises(CircuitOpen, match="the circuit is open: forced by hand") as caught:
        await guarded()
    assert caught.value.retry_after is None
    breaker.disable()
    await fail(guarded)
    assert (breaker.state, breaker.statistics().failures) == ("disabled", 0)
    breaker.metrics_only()
    await fail(guarded)
    assert (breaker.state, breaker.statistics().failures) == ("metrics_only", 1)
    breaker.close()
    assert await guarded() == 1
    breaker.force_open()
    breaker.half_open()
    assert await guarded() == 1
    assert breaker.state == "closed"
    breaker.open()
    assert breaker.statistics().retry_after == 30
    clock.tick(30)
    assert await guarded() == 1
    await fail(guarded)
    breaker.reset()
    seen = breaker.statistics()
    assert (seen.state, seen.opened, seen.refused, seen.reason, seen.last_failure) == ("closed", 2, 1, "", "")
    assert repr(breaker) == "<circuit breaker: closed>"


async def test_a_handle_outlives_a_change_of_policies_and_the_window_too(pipeline: Callable[..., Pipeline]) -> None:
    guard = pipeline(CircuitBreaker(failure_rate=0.9, window=10, min_calls=3))
    guarded, breaker = guard(answer), guard.breakers[0]
    await fail(guarded)
    await guarded()
    guard.configure([CircuitBreaker(failure_rate=0.5, window=10, min_calls=3)])
    assert (guard.breakers[0] is breaker, breaker.statistics().calls) == (True, 2)
    await fail(guarded)
    assert breaker.state == "open"
    breaker.close()
    await guarded()
    guard.configure([CircuitBreaker(failure_rate=0.5, window="1m", min_calls=3)])
    assert breaker.statistics().calls == 0, "a window of another kind begins anew"
    guard.configure([CircuitBreaker()])
    await guarded()
    assert breaker.statistics().calls == 0


async def test_errors_without_words_and_with_broken_ones_are_remembered_by_their_type(
    pipeline: Callable[..., Pipeline],
) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    guard = pipeline(CircuitBreaker())
    with pytest.raises(Mute):
        await guard(answer)(Mute())
    assert guard.breakers[0].statistics().last_failure == "Mute"
    await fail(guard(answer), ValueError("x" * 10_000))
    assert len(guard.breakers[0].statistics().last_failure) <= 500


async def test_a_cancelled_trial_of_a_shared_breaker_and_every_await_leak_nothing(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=1, slow_call=30.0, window=50, min_calls=50))

    @guard
    async def call() -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()

    guard.breakers[0].open()
    clock.tick(60)
    await cancel_at_each_await(call)
    await call()
    assert guard.breakers[0].state == "closed"


async def test_its_statistics_are_metrics(registry: Registry, pipeline: Callable[..., Pipeline]) -> None:
    guarded = pipeline(CircuitBreaker(failure_rate=0.5, window=4, min_calls=2), name="rates")(answer)
    await guarded()
    await fail(guarded)
    text = registry.render()
    assert 'corten_circuit_breaker_state{pipeline="rates",state="open"} 1' in text
    assert 'corten_circuit_breaker_state{pipeline="rates",state="closed"} 0' in text
    assert 'corten_circuit_breaker_opened_total{pipeline="rates"} 1' in text
    assert 'corten_circuit_breaker_failure_rate{pipeline="rates"} 0.5' in text


async def test_of_ten_thousand_callers_a_half_open_breaker_lets_its_trials_through(
    pipeline: Callable[..., Pipeline],
) -> None:
    guard = pipeline(CircuitBreaker(half_open_calls=3))
    hold = anyio.Event()
    ended = {"refused": 0, "answered": 0}

    @guard
    async def trial() -> None:
        await hold.wait()

    async def caller() -> None:
        try:
            await trial()
            ended["answered"] += 1
        except CircuitOpen:
            ended["refused"] += 1

    guard.breakers[0].half_open()
    async with anyio.create_task_group() as group:
        for _ in range(10_000):
            group.start_soon(caller)
        await anyio.wait_all_tasks_blocked()
        assert ended == {"refused": 9_997, "answered": 0}
        hold.set()
    assert (guard.breakers[0].state, guard.breakers[0].statistics().refused) == ("closed", 9_997)


async def test_who_hears_of_changes_keeps_no_pipeline_alive(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=1))
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), events=Events())
    kept, breaker = weakref.ref(guard), weakref.ref(guard.breakers[0])
    del guard
    gc.collect()
    assert (kept(), breaker()) == (None, None)


async def test_calls_that_take_longer_than_a_trial_may_be_silent_close_it_all_the_same(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=1, open_for=30, max_half_open=20))
    guarded = guard(answer)

    @guard
    async def long() -> None:
        await clock.sleep(100)

    guard.breakers[0].half_open()
    async with anyio.create_task_group() as group:
        group.start_soon(long)
        await clock.advance(20)
        with pytest.raises(CircuitOpen, match="no half-open call ended within 20 s"):
            await guarded()
        await clock.advance(80)
    assert guard.breakers[0].state == "closed"


async def test_a_subscriber_may_steer_the_breaker_that_it_hears_of(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    guard = pipeline(CircuitBreaker(failures=1))
    events, heard = Events(), list[str]()

    def keep_closed(event: BreakerChanged) -> None:
        if event.after == "open":
            guard.breakers[0].close()
        heard.append(event.after)

    events.subscribe(keep_closed, BreakerChanged)
    runtime_of(guard).bind(owner=object(), clock=clock, registry=Registry(), events=events)
    await fail(guard(answer))
    assert heard == ["open", "closed"]
