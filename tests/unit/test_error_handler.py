"""One place for errors: counted by component and type, told once, never in circles."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from corten import App, Cache, CircuitBreaker, Fallback, Hedge, Pipeline, RateLimit, Retry, Timeout
from corten.error_handler import ErrorDetails, ErrorHandler
from corten.errors import CortenError, DeadlineExceeded, RateLimited
from corten.events import PhaseFinished, TaskRestarted
from corten.messages import Consumer
from corten.metrics import Registry
from corten.testing import FakeClock
from corten.testing.messages import MemoryBroker

pytestmark = pytest.mark.anyio


@pytest.fixture
def handler(registry: Registry, clock: FakeClock) -> ErrorHandler:
    return ErrorHandler(registry, clock, wall=lambda: 7.0)


def make(clock: FakeClock) -> App[Any]:
    return App("x", config=None, autoload=False, clock=clock)


def counts(handler: ErrorHandler) -> dict[tuple[str, str], int]:
    return {(each.component, each.type): each.count for each in handler.statistics().counts}


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await anyio.lowlevel.checkpoint()


# -- the handler alone


def test_errors_are_counted_by_component_and_type(handler: ErrorHandler, registry: Registry) -> None:
    for _ in range(3):
        handler.report("parser", ValueError("x"))
    handler.report("mailer", ValueError("x"))
    handler.report("parser", KeyError("x"))
    statistics = handler.statistics()
    assert statistics.total == 5
    assert [(each.component, each.type, each.count, each.last_at) for each in statistics.counts] == [
        ("parser", "ValueError", 3, 7.0),
        ("mailer", "ValueError", 1, 7.0),
        ("parser", "KeyError", 1, 7.0),
    ]
    assert 'corten_errors_total{component="parser",type="ValueError"} 3' in registry.render()


def test_callbacks_are_told_of_their_types_and_subclasses_in_order(handler: ErrorHandler) -> None:
    told: list[str] = []
    handler.subscribe(lambda details: told.append(f"lookup {details.component}"), LookupError)
    handler.subscribe(lambda details: told.append(f"all {details.error}"))
    handler.subscribe(lambda _: told.append("either"), (OSError, ValueError))
    handler.report("a", KeyError("k"))
    handler.report("b", ValueError("v"))
    assert told == ["lookup a", "all 'k'", "all v", "either"]


def test_details_have_the_error_itself_and_its_time(handler: ErrorHandler) -> None:
    told: list[ErrorDetails] = []
    handler.subscribe(told.append)
    error = ValueError("x")
    handler.report("a", error)
    assert told == [ErrorDetails("a", error, 7.0)]


def test_a_subscription_ends_and_may_be_ended_again(handler: ErrorHandler) -> None:
    told: list[ErrorDetails] = []
    end = handler.subscribe(told.append)
    end()
    end()
    handler.report("a", ValueError())
    assert told == []
    assert handler.statistics().callbacks == 0


def test_a_callback_that_raises_is_counted_and_stays_alone(
    handler: ErrorHandler, caplog: pytest.LogCaptureFixture, registry: Registry
) -> None:
    told: list[ErrorDetails] = []

    def fail(_: ErrorDetails) -> None:
        raise RuntimeError("mine")

    handler.subscribe(fail)
    handler.subscribe(told.append)
    handler.report("a", ValueError("theirs"))
    assert len(told) == 1
    assert handler.statistics().callback_failures == 1
    assert handler.statistics().total == 1
    assert "failed on ValueError of a: RuntimeError: mine" in caplog.text
    assert "corten_error_callback_failures_total 1" in registry.render()


def test_errors_within_a_callback_are_counted_and_told_to_nobody(handler: ErrorHandler) -> None:
    told: list[str] = []

    def report_again(details: ErrorDetails) -> None:
        told.append(details.component)
        handler.report("callback", KeyError("another"))

    handler.subscribe(report_again)
    handler.report("a", ValueError("x"))
    handler.report("b", ValueError("x"))
    assert told == ["a", "b"]
    assert counts(handler)[("callback", "KeyError")] == 2


def test_an_error_on_its_way_out_is_counted_for_each_component_and_told_once(handler: ErrorHandler) -> None:
    told: list[str] = []
    handler.subscribe(lambda details: told.append(details.component))
    always_the_same = ValueError("x")
    for _ in range(2):
        handler.report("inner", always_the_same)
        handler.report("outer", always_the_same)
    assert told == ["inner", "inner"]
    assert counts(handler) == {("inner", "ValueError"): 2, ("outer", "ValueError"): 2}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_is_no_exception_is_no_error(handler: ErrorHandler, error: BaseException) -> None:
    handler.report("a", error)
    assert handler.statistics().total == 0


def test_pairs_beyond_the_cap_are_counted_together(registry: Registry) -> None:
    handler = ErrorHandler(registry, max_pairs=3)
    for number in range(10):
        handler.report(f"component {number}", ValueError())
    assert counts(handler)[("overflow", "overflow")] == 7
    assert len(handler.statistics().counts) == 4
    assert handler.statistics().total == 10


def test_reporting_reports_and_lets_go_on(handler: ErrorHandler) -> None:
    with pytest.raises(ValueError, match="x"), handler.reporting("parser"):
        raise ValueError("x")
    assert counts(handler) == {("parser", "ValueError"): 1}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, "ValueError", (ValueError, int)])
def test_a_kind_that_is_no_exception_is_refused(handler: ErrorHandler, kind: Any) -> None:
    with pytest.raises(TypeError, match="not a subclass of Exception"):
        handler.subscribe(print, kind)


def test_what_cannot_be_called_is_refused(handler: ErrorHandler) -> None:
    with pytest.raises(TypeError, match="can't be called"):
        handler.subscribe("print")  # type: ignore[arg-type]


def test_a_plain_function_that_returns_an_awaitable_is_told_to_be_async(
    handler: ErrorHandler, caplog: pytest.LogCaptureFixture
) -> None:
    async def send(_: ErrorDetails) -> None: ...

    def hands_on(details: ErrorDetails) -> Awaitable[None]:
        return send(details)

    handler.subscribe(hands_on)
    handler.report("a", ValueError())
    assert handler.statistics().callback_failures == 1
    assert "write it with `async def`" in caplog.text


def test_many_threads_lose_no_error(handler: ErrorHandler) -> None:
    told: list[ErrorDetails] = []
    handler.subscribe(told.append)

    def report() -> None:
        for _ in range(500):
            handler.report("a", ValueError())

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.statistics().total == len(told) == 4000


# -- async callbacks


async def test_async_callbacks_are_awaited_one_after_the_other(clock: FakeClock) -> None:
    told: list[str] = []
    app = make(clock)

    @app.on_error(ValueError)
    async def tell(details: ErrorDetails) -> None:
        told.append(f"begin {details.error}")
        await clock.sleep(1)
        told.append(f"end {details.error}")

    async with app:
        app.errors.report("a", ValueError("1"))
        app.errors.report("a", ValueError("2"))
        app.errors.report("a", KeyError("3"))
        await clock.advance(3)
        assert told == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_an_async_callback_is_told_from_another_thread(clock: FakeClock) -> None:
    told: list[ErrorDetails] = []
    app = make(clock)

    @app.on_error()
    async def tell(details: ErrorDetails) -> None:
        told.append(details)

    async with app:
        await anyio.wait_all_tasks_blocked()
        thread = threading.Thread(target=app.errors.report, args=("thread", ValueError()))
        thread.start()
        thread.join()
        await until(lambda: len(told) == 1)


async def test_what_waits_when_the_app_stops_is_told_before_it_ends(clock: FakeClock) -> None:
    told: list[str] = []
    app = make(clock)

    @app.on_error()
    async def tell(details: ErrorDetails) -> None:
        await anyio.lowlevel.checkpoint()
        told.append(str(details.error))

    app.errors.report("before", ValueError("before the start"))
    async with app:
        for number in range(5):
            app.errors.report("a", ValueError(str(number)))
    assert told == ["before the start", "0", "1", "2", "3", "4"]
    app.errors.report("after", ValueError("too late"))
    assert app.errors.statistics().dropped == 1
    assert app.errors.statistics().waiting == 0


async def test_an_async_callback_that_fails_or_hangs_does_not_hold_up_the_next(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    app = make(clock)

    @app.on_error()
    async def tell(details: ErrorDetails) -> None:
        match str(details.error):
            case "raise":
                raise RuntimeError("mine")
            case "hang":
                await anyio.sleep_forever()
            case words:
                told.append(words)

    async with app:
        for words in ("raise", "hang", "fine"):
            app.errors.report("a", ValueError(words))
        await clock.advance(29)
        assert told == []
        await clock.advance(2)
        assert told == ["fine"]
        assert app.errors.statistics().callback_failures == 2
    assert "it took longer than 30 s" in caplog.text


async def test_a_hanging_callback_does_not_hold_up_the_end_of_the_app(clock: FakeClock) -> None:
    app = make(clock)

    @app.on_error()
    async def tell(_: ErrorDetails) -> None:
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:

        async def live() -> None:
            async with app:
                app.errors.report("a", ValueError())

        group.start_soon(live)
        await clock.advance(25)
    assert app.state == "stopped"


async def test_too_many_that_wait_are_dropped_and_said_once(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    handler = ErrorHandler(clock=clock, max_waiting=10)

    async def tell(_: ErrorDetails) -> None: ...

    handler.subscribe(tell)
    for _ in range(50):
        handler.report("a", ValueError())
    assert handler.statistics().waiting == 10
    assert handler.statistics().dropped == 40
    assert caplog.text.count("async callbacks miss errors from now on") == 1


async def test_errors_within_an_async_callback_are_told_to_nobody(clock: FakeClock) -> None:
    app = make(clock)
    pipeline = app.add(Pipeline("mail", Timeout(5.0)))
    told: list[str] = []

    @app.on_error()
    async def tell(details: ErrorDetails) -> None:
        told.append(details.component)
        await pipeline.call(fails)

    async with app:
        app.errors.report("a", ValueError())
        await until(lambda: app.errors.statistics().callback_failures == 1)
        await anyio.wait_all_tasks_blocked()
    assert told == ["a"]
    assert counts(app.errors)[("pipeline mail", "OSError")] == 1


# -- what comes by


async def fails() -> None:
    raise OSError("away")


async def test_a_pipelines_final_failure_comes_by_once_and_its_attempts_do_not(clock: FakeClock) -> None:
    app = make(clock)
    pipeline = app.add(Pipeline("users", Retry(max_attempts=3, initial_backoff=0.0), Timeout(5.0)))
    told: list[ErrorDetails] = []
    app.on_error(OSError)(told.append)
    async with app:
        with pytest.raises(OSError, match="away") as raised:
            await pipeline.call(fails)
        assert [(each.component, each.error) for each in told] == [("pipeline users", raised.value)]


@pytest.mark.parametrize(
    ("policies", "errors"),
    [
        ((Fallback(value=7), Retry(max_attempts=2, initial_backoff=0.0)), {}),
        ((Hedge(delay=1.0),), {}),
        # What is stale is given out in front of the pipeline: that it could not be made anew is to be known.
        ((Cache(ttl=1.0, stale=60.0), Timeout(5.0)), {("pipeline users", "OSError"): 1}),
    ],
)
async def test_what_the_caller_does_not_get_is_no_error_but_behind_a_cache(
    clock: FakeClock, policies: tuple[Any, ...], errors: dict[tuple[str, str], int]
) -> None:
    app = make(clock)
    pipeline = app.add(Pipeline("users", *policies))
    slow_and_broken = False

    @pipeline
    async def work() -> int:
        nonlocal slow_and_broken
        if slow_and_broken:
            slow_and_broken = not isinstance(policies[0], Hedge)  # the other attempt is fine
            await clock.sleep(2)
            raise OSError("away")
        return 7

    async with app, anyio.create_task_group() as group:
        assert await work() == 7
        await clock.advance(2)
        slow_and_broken = True
        results: list[int] = []

        async def call() -> None:
            results.append(await work())

        group.start_soon(call)
        await clock.advance(20)
        assert results == [7]
        assert counts(app.errors) == errors


async def test_attempts_beside_each_other_that_all_fail_are_one_error(clock: FakeClock) -> None:
    app = make(clock)
    pipeline = app.add(Pipeline("users", Hedge(delay=1.0)))

    async def slow() -> None:
        await clock.sleep(2)
        raise OSError("away")

    async with app, anyio.create_task_group() as group:

        async def call() -> None:
            with pytest.raises(OSError, match="away"):
                await pipeline.call(slow)

        group.start_soon(call)
        await clock.advance(20)
        assert counts(app.errors) == {("pipeline users", "OSError"): 1}


async def test_a_plain_functions_failure_comes_by_too(clock: FakeClock) -> None:
    app = make(clock)
    pipeline = app.add(Pipeline("users", CircuitBreaker()))

    @pipeline
    def parse() -> None:
        raise ValueError("x")

    async with app:
        with pytest.raises(ValueError, match="x"):
            parse()
        assert counts(app.errors) == {("pipeline users", "ValueError"): 1}


async def test_a_time_limit_comes_by_and_a_refusal_does_not(clock: FakeClock) -> None:
    app = make(clock)
    pipeline = app.add(Pipeline("users", RateLimit("1/s"), Timeout(1.0)))
    async with app, anyio.create_task_group() as group:

        async def call() -> None:
            with pytest.raises(DeadlineExceeded):
                await pipeline.call(anyio.sleep_forever)

        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RateLimited):
            await pipeline.call(fails)
        await clock.advance(1)
        assert counts(app.errors) == {("pipeline users", "DeadlineExceeded"): 1}


async def test_a_pipeline_within_a_pipeline_and_a_task_is_told_once(clock: FakeClock) -> None:
    app = make(clock)
    outer, inner = app.add(Pipeline("outer", CircuitBreaker())), app.add(Pipeline("inner", CircuitBreaker()))
    told: list[str] = []
    app.on_error()(lambda details: told.append(details.component))

    @outer
    @inner
    async def work() -> None:
        raise OSError("away")

    @app.task
    async def repeat() -> None:
        await work()

    async with app:
        await until(lambda: app.tasks()[0].restarts == 1)
        assert told == ["pipeline inner"]
        assert counts(app.errors)[("task repeat", "OSError")] == 1


async def test_a_task_a_schedule_and_a_subscriber_come_by(clock: FakeClock) -> None:
    app = make(clock)

    @app.task
    async def refresh() -> None:
        raise ValueError("task")

    @app.every("10s")
    async def report() -> None:
        raise KeyError("schedule")

    def warn(_: object) -> None:
        raise RuntimeError("subscriber")

    app.events.subscribe(warn, TaskRestarted)
    async with app:
        await until(lambda: app.errors.statistics().total == 3)
        assert {(component.split(".")[0], kind) for component, kind in counts(app.errors)} == {
            ("task refresh", "ValueError"),
            ("schedule report", "KeyError"),
            ("subscriber test_a_task_a_schedule_and_a_subscriber_come_by", "RuntimeError"),
        }


async def test_a_consumer_comes_by_for_each_dead_letter(clock: FakeClock) -> None:
    broker = MemoryBroker()
    app = App("x", config=None, autoload=False, clock=clock, plugins=[broker])

    async def handle(value: int) -> None:
        if value == 3:
            raise ValueError("three")

    app.add(Consumer("numbers", ("numbers",), handle, type=int))
    async with app:
        for value in (b"1", b"2", b"3", b'"x"'):
            await broker.send("numbers", value)
        await until(lambda: app.errors.statistics().total == 2)
        assert counts(app.errors) == {("consumer numbers", "ValueError"): 1, ("consumer numbers", "ValidationError"): 1}


async def test_a_subscriber_that_fails_on_what_an_error_caused_ends_nowhere(clock: FakeClock) -> None:
    app = make(clock)

    def emit(_: ErrorDetails) -> None:
        app.events.emit(PhaseFinished(app="x", phase="mine", seconds=0.0))

    def fail(event: PhaseFinished) -> None:
        raise RuntimeError(event.phase)

    app.on_error()(emit)
    app.events.subscribe(fail, PhaseFinished)
    app.errors.report("a", ValueError())
    assert app.errors.statistics().total == 2


async def test_an_app_without_callbacks_counts_all_the_same(clock: FakeClock) -> None:
    app = make(clock)
    async with app:
        app.errors.report("a", CortenError("x"))
    assert counts(app.errors) == {("a", "CortenError"): 1}


def test_a_decorator_without_parentheses_is_refused() -> None:
    def page(details: ErrorDetails) -> None: ...

    decorate: Any = App("demo", autoload=False).on_error
    with pytest.raises(TypeError, match=r"on_error wants parentheses: @app.on_error\(\)"):
        decorate(page)
    with pytest.raises(TypeError, match="not a subclass of Exception"):
        decorate(int)
