"""Health runs checks concurrently, bounded in time, and shares one run among all who ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import msgspec
import pytest

from corten.health import Check, Finding, Health, Report
from corten.testing import cancel_at_each_await
from corten.testing.clock import FakeClock

pytestmark = pytest.mark.anyio


class Counted:
    """A check's body that counts its runs and waits to be let go."""

    def __init__(self, finding: Finding | None = None, *, wait: bool = False) -> None:
        self.runs = 0
        self.finding = finding
        self.go = anyio.Event()
        if not wait:
            self.go.set()

    async def __call__(self) -> Finding | None:
        self.runs += 1
        await self.go.wait()
        return self.finding


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        raise error

    return run


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def health(clock: FakeClock) -> Health:
    return Health(clock, wall=lambda: 1234.5)


async def test_without_checks_the_report_is_up(health: Health) -> None:
    assert await health.run("live") == Report("up", {})


async def test_a_check_that_returns_nothing_is_up(health: Health) -> None:
    health.add(Check("database", Counted()))
    report = await health.run()
    assert report.status == "up"
    assert report.passed
    assert report.checks["database"].status == "up"
    assert report.checks["database"].at == 1234.5


async def test_a_probe_asks_its_own_checks_only(health: Health) -> None:
    health.add(Check("loop", Counted(), probes=("live",)))
    health.add(Check("database", Counted(), probes=("ready", "startup")))
    assert list((await health.run("live")).checks) == ["loop"]
    assert list((await health.run("startup")).checks) == ["database"]
    assert list((await health.run()).checks) == ["loop", "database"]


@pytest.mark.parametrize(
    ("finding", "critical", "status"),
    [
        (Finding("down"), True, "down"),
        (Finding("down"), False, "degraded"),
        (Finding("degraded"), True, "degraded"),
        (Finding("up"), False, "up"),
    ],
)
async def test_only_a_critical_check_that_is_down_fails_the_probe(
    health: Health, finding: Finding, critical: bool, status: str
) -> None:
    health.add(Check("fine", Counted()))
    health.add(Check("it", Counted(finding), critical=critical))
    report = await health.run()
    assert report.status == status
    assert report.passed is (status != "down")
    assert report.checks["it"].status == finding.status


async def test_an_error_is_down_with_its_words_and_without_its_credentials(health: Health) -> None:
    health.add(Check("database", failing(OSError("no route to postgresql://app:hunter2@db/flights\nFORGED line"))))
    found = (await health.run()).checks["database"]
    assert found.status == "down"
    assert found.message == "OSError: no route to postgresql://app:<secret>@db/flights FORGED line"


async def test_an_error_without_words_is_named(health: Health) -> None:
    health.add(Check("database", failing(TimeoutError())))
    assert (await health.run()).checks["database"].message == "TimeoutError"


async def test_a_check_that_returns_something_else_is_down_and_says_so(health: Health) -> None:
    async def wrong() -> Finding | None:
        return True  # type: ignore[return-value]

    health.add(Check("wrong", wrong))
    found = (await health.run()).checks["wrong"]
    assert (found.status, found.message) == ("down", "the check returned bool; expected a Finding or None")


async def test_a_check_that_hangs_is_down_at_its_timeout_and_holds_nobody_else_up(
    health: Health, clock: FakeClock
) -> None:
    slow, quick = Counted(wait=True), Counted()
    health.add(Check("slow", slow, timeout=2.0))
    health.add(Check("quick", quick))
    reports: list[Report] = []

    async def ask() -> None:
        reports.append(await health.run())

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await clock.advance(1.9)
        assert not reports
        assert quick.runs == 1
        await clock.advance(0.1)
    assert reports[0].checks["slow"].status == "down"
    assert reports[0].checks["slow"].message == "did not answer within 2 s"
    assert reports[0].checks["slow"].seconds == pytest.approx(2.0)
    assert reports[0].checks["quick"].status == "up"
    assert health.statistics().timeouts == 1


async def test_checks_run_at_the_same_time(health: Health, clock: FakeClock) -> None:
    def sleeper(seconds: float) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await clock.sleep(seconds)

        return run

    for name in "abc":
        health.add(Check(name, sleeper(1.0)))
    began = clock.now()
    async with anyio.create_task_group() as group:
        group.start_soon(health.run)
        await clock.advance(1.0)
    assert clock.now() - began == pytest.approx(1.0)
    assert health.statistics().failures == 0


async def test_a_fresh_finding_is_given_out_again(health: Health, clock: FakeClock) -> None:
    body = Counted()
    health.add(Check("database", body, fresh=5.0))
    await health.run("ready")
    await clock.advance(4.9)
    await health.run("ready")
    await health.run()
    assert body.runs == 1
    await clock.advance(0.1)
    await health.run()
    assert body.runs == 2
    assert health.statistics().hits == 2


async def test_a_hundred_probes_at_once_share_one_run(health: Health) -> None:
    body = Counted(Finding("degraded", "on one leg"), wait=True)
    health.add(Check("database", body, fresh=0.0))
    reports: list[Report] = []

    async def ask() -> None:
        reports.append(await health.run())

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        body.go.set()
    assert body.runs == 1
    assert {report.status for report in reports} == {"degraded"}
    assert len(reports) == 100


async def test_when_the_one_who_runs_the_check_is_cancelled_the_next_takes_over(health: Health) -> None:
    body = Counted(wait=True)
    health.add(Check("database", body))
    reports: list[Report] = []
    first = anyio.CancelScope()

    async def ask_first() -> None:
        with first:
            await health.run()

    async def ask() -> None:
        reports.append(await health.run())

    async with anyio.create_task_group() as group:
        group.start_soon(ask_first)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        assert body.runs == 2
        body.go.set()
    assert first.cancelled_caught
    assert reports[0].status == "up"


async def test_cancelling_the_only_one_who_asks_leaves_nothing_behind(health: Health) -> None:
    body = Counted(wait=True)
    health.add(Check("a", body))
    health.add(Check("b", Counted()))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await health.run()
    assert scope.cancelled_caught
    body.go.set()
    assert (await health.run()).status == "up"


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Check("", Counted()), "needs a name"),
        (Check("x", Counted(), probes=("alive",)), "unknown probe 'alive'; expected one of live, ready, startup"),  # type: ignore[arg-type]
        (Check("x", Counted(), timeout=0), "timeout is 0 s; expected more than 0"),
        (Check("x", Counted(), fresh=-1), "fresh is -1 s; expected 0 or more"),
    ],
)
async def test_a_wrong_check_is_refused_with_what_would_be_right(health: Health, check: Check, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        health.add(check)


async def test_two_checks_of_one_name_are_refused(health: Health) -> None:
    health.add(Check("database", Counted()))
    with pytest.raises(ValueError, match="another check is named 'database'"):
        health.add(Check("database", Counted()))


async def test_the_report_is_json(health: Health) -> None:
    health.add(Check("database", Counted(Finding("degraded", "slow", {"ms": 12}))))
    decoded = msgspec.json.decode((await health.run()).json())
    assert decoded["status"] == "degraded"
    assert decoded["checks"]["database"]["details"] == {"ms": 12}


async def test_statistics_count_runs_and_failures(health: Health) -> None:
    health.add(Check("fine", Counted()))
    health.add(Check("broken", failing(ValueError("no"))))
    await health.run()
    figures = health.statistics()
    assert (figures.checks, figures.runs, figures.hits, figures.failures, figures.timeouts) == (2, 2, 0, 1, 0)


async def test_cancelled_at_any_await_it_leaves_no_run_under_way(health: Health) -> None:
    async def slow() -> None:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()

    for name in "abc":
        health.add(Check(name, slow, fresh=0.0))

    def check() -> None:
        assert all(entry.flight is None for entry in health._entries.values())

    assert await cancel_at_each_await(health.run, check) > 3
    assert (await health.run()).status == "up"
