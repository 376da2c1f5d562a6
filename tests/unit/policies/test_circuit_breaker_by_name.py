"""Breakers of one name are one breaker: in an App, and in the process for pipelines that belong to none."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from corten import App, Bulkhead, CircuitBreaker, Pipeline, Retry
from corten.errors import CircuitOpen, SettingsError
from corten.events import BreakerChanged, Events
from corten.metrics import Registry
from corten.pipeline.pipeline import runtime_of
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio

SHARED = CircuitBreaker(failures=2, open_for=30, name="twitter_api")


async def fail() -> None:
    raise OSError("gone")


async def answer() -> int:
    return 1


async def test_failures_of_one_pipeline_open_it_for_the_other(pipeline: Callable[..., Pipeline]) -> None:
    read, post = pipeline(SHARED, name="read"), pipeline(SHARED, name="post")
    assert read.breakers[0] is post.breakers[0]
    for guard in (read, post):
        with pytest.raises(OSError, match="gone"):
            await guard(fail)()
    with pytest.raises(
        CircuitOpen, match="pipeline 'read'.*'twitter_api' is open: 2 failures in a row; last failure: OSError: gone"
    ):
        await read(answer)()
    assert read.statistics().breakers[0] == post.statistics().breakers[0]
    assert read.statistics().breakers[0].name == "twitter_api"
    assert repr(read.breakers[0]) == "<circuit breaker 'twitter_api': open>"


async def test_other_names_other_clocks_and_no_name_share_nothing(pipeline: Callable[..., Pipeline]) -> None:
    first = pipeline(SHARED)
    others = [
        pipeline(CircuitBreaker(failures=2, open_for=30, name="another")),
        pipeline(CircuitBreaker(failures=2, open_for=30)),
        Pipeline("p", SHARED, clock=FakeClock(), registry=Registry()),
    ]
    first.breakers[0].force_open()
    assert {other.breakers[0].state for other in others} == {"closed"}


async def test_contradictory_settings_for_one_name_are_refused_in_words(pipeline: Callable[..., Pipeline]) -> None:
    kept = pipeline(SHARED, name="read")
    with pytest.raises(
        ValueError, match=r"pipeline 'post': circuit_breaker 'twitter_api' has failures=3 here and 2 in"
    ):
        pipeline(CircuitBreaker(failures=3, open_for=30, name="twitter_api"), name="post")
    assert kept.breakers[0].policy == SHARED


async def test_a_pipeline_that_has_it_changes_it_for_all(pipeline: Callable[..., Pipeline]) -> None:
    read, post = pipeline(SHARED), pipeline(SHARED)
    read.configure([CircuitBreaker(failures=1, open_for=30, name="twitter_api")])
    with pytest.raises(OSError, match="gone"):
        await post(fail)()
    assert post.breakers[0].state == "open"


async def test_a_policy_that_gets_a_name_leaves_its_own_breaker_and_the_other_way_round(
    pipeline: Callable[..., Pipeline],
) -> None:
    read, post = pipeline(SHARED), pipeline(CircuitBreaker(failures=2, open_for=30))
    read.breakers[0].force_open()
    post.configure([SHARED])
    assert post.breakers[0] is read.breakers[0]
    post.configure([CircuitBreaker(failures=2, open_for=30)])
    assert (post.breakers[0].state, read.breakers[0].state) == ("closed", "forced_open")


def test_it_lives_as_long_as_a_pipeline_that_has_it(pipeline: Callable[..., Pipeline]) -> None:
    pipeline(SHARED).breakers[0].force_open()
    gc.collect()
    again = pipeline(CircuitBreaker(failures=7, name="twitter_api"))
    assert (again.breakers[0].state, again.breakers[0].policy.failures) == ("closed", 7)


def test_a_pipeline_that_nobody_can_reach_contradicts_nobody(pipeline: Callable[..., Pipeline]) -> None:
    gone = [pipeline(SHARED)]
    gone.append(gone)  # type: ignore[arg-type]
    del gone
    assert pipeline(CircuitBreaker(failures=7, name="twitter_api")).breakers[0].policy.failures == 7


async def test_one_change_is_one_event_of_all_its_pipelines(
    clock: FakeClock, pipeline: Callable[..., Pipeline]
) -> None:
    events, heard = Events(), list[BreakerChanged]()
    events.subscribe(heard.append, BreakerChanged)
    pipelines = [pipeline(SHARED, name=name) for name in ("read", "post")]
    for guard in pipelines:
        runtime_of(guard).bind(owner=events, clock=clock, registry=Registry(), events=events)
    pipelines[1].breakers[0].force_open()
    assert [(event.pipeline, event.breaker, event.after) for event in heard] == [
        ("read, post", "twitter_api", "forced_open")
    ]


async def test_each_app_has_its_own(make_app: Callable[..., App[None]]) -> None:
    apps = [make_app(name=name) for name in ("one", "two")]
    pipelines = [(app.add(Pipeline("read", SHARED)), app.add(Pipeline("post", SHARED))) for app in apps]
    async with apps[0], apps[1]:
        for read, post in pipelines:
            assert read.breakers[0] is post.breakers[0]
        pipelines[0][0].breakers[0].force_open()
        assert pipelines[1][0].breakers[0].state == "closed"


async def test_an_app_does_not_start_with_contradictory_settings(
    make_app: Callable[..., App[None]], tmp_path: Path
) -> None:
    file = tmp_path / "corten.toml"
    table = '[pipelines.{0}]\npolicies = [{{ policy = "circuit_breaker", failures = {1}, name = "api" }}]\n'
    file.write_text(table.format("read", 3) + table.format("post", 4))
    app = make_app(config=file)
    for name in ("read", "post"):
        app.add(Pipeline(name))
    with pytest.raises(SettingsError, match=r"circuit_breaker 'api' has failures=4 here and 3 in pipeline 'read'"):
        async with app:
            pass


async def test_a_changed_file_changes_it_for_all_and_a_contradictory_one_changes_nothing(
    make_app: Callable[..., App[None]], tmp_path: Path
) -> None:
    file = tmp_path / "corten.toml"
    policy = '[pipelines.{0}]\npolicies = [{{ policy = "circuit_breaker", {1}, window = "1m", name = "api" }}]\n'

    def write(**rules: str) -> None:
        file.write_text("".join(policy.format(name, rule) for name, rule in rules.items()))

    write(read="failure_rate = 0.9", post="failure_rate = 0.9")
    app = make_app(config=file)
    read, post = (app.add(Pipeline(name)) for name in ("read", "post"))
    async with app:
        breaker = read.breakers[0]
        await read(answer)()
        write(read="failure_rate = 0.5", post="failure_rate = 0.4")
        with pytest.raises(
            SettingsError, match="failure_rate=0.4 here and 0.5 in pipeline 'read'; it is one circuit breaker"
        ):
            await app.reload()
        assert breaker.policy.failure_rate == 0.9
        write(read="failure_rate = 0.5", post="failure_rate = 0.5")
        await app.reload()
        assert read.breakers[0] is post.breakers[0] is breaker
        assert (breaker.policy.failure_rate, breaker.statistics().calls) == (0.5, 1)


def test_a_name_stands_in_a_pipeline_once(pipeline: Callable[..., Pipeline]) -> None:
    for policy in (CircuitBreaker(name="twice"), Bulkhead(1, max_waiting=9, name="twice")):
        with pytest.raises(ValueError, match=r"pipeline 'p': .* 'twice' stands in it twice"):
            pipeline(policy, Retry(), policy)
    pipeline(CircuitBreaker(name="twice"), Bulkhead(1, name="twice"))
