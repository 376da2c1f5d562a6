"""Profiles: policies to start from, in code and by ``extends``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corten import App, Pipeline, Retry, Timeout, profile
from corten.errors import SettingsError
from corten.policies import PROFILES, Bulkhead, Cache, Chaos, CircuitBreaker, Policy
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


def make(*names: str, arguments: dict[str, object]) -> App[Any]:
    app = App("x", config=None, autoload=False, clock=FakeClock(), arguments=arguments)
    for name in names:
        app.add(Pipeline(name))
    return app


async def policies_of(name: str, arguments: dict[str, object]) -> tuple[Policy, ...]:
    app = make(name, arguments=arguments)
    async with app:
        return app.pipelines[name].policies


async def problems_of(name: str, arguments: dict[str, object]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        async with make(name, arguments=arguments):
            pytest.fail("must not start")
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize("name", PROFILES)
async def test_a_profile_guards_a_function_as_it_is(name: str) -> None:
    pipeline = Pipeline("p", *profile(name), clock=FakeClock())

    @pipeline
    async def work(value: int) -> int:
        return value + 1

    assert await work(1) == 2
    assert pipeline.statistics().successes == 1


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_has_what_every_kind_of_work_needs_and_no_cache(name: str) -> None:
    kinds = [type(policy) for policy in profile(name)]
    for kind in (Retry, CircuitBreaker, Bulkhead, Timeout):
        assert kind in kinds
    assert Cache not in kinds
    assert kinds.index(Retry) < kinds.index(CircuitBreaker)
    assert kinds[-1] is Timeout


@pytest.mark.parametrize("name", PROFILES)
def test_the_attempts_and_their_backoffs_fit_into_the_time_in_all(name: str) -> None:
    first, *_, last = profile(name)
    if not isinstance(first, Timeout):
        return
    assert isinstance(last, Timeout)
    (retry,) = (policy for policy in profile(name) if isinstance(policy, Retry))
    backoffs = sum(
        min(retry.max_backoff, retry.initial_backoff * retry.backoff_multiplier**n)
        for n in range(retry.max_attempts - 1)
    )
    assert last.seconds * (retry.max_attempts - 1) + backoffs < first.seconds


def test_every_profile_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "profiles.md").read_text()
    for name in PROFILES:
        assert f"`{name}`" in text


def test_a_name_that_is_no_profile_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="no profile 'ftp'; there are database, email, http, scrape"):
        profile("ftp")


async def test_settings_extend_a_profile_by_its_name() -> None:
    assert await policies_of("rates", {"pipelines.rates.extends": "http"}) == profile("http")


async def test_a_table_of_the_users_wins_over_the_profile_of_that_name() -> None:
    own = {"policy": "timeout", "seconds": "3s"}
    arguments = {"pipelines.http.policies": [own], "pipelines.rates.extends": "http"}
    assert await policies_of("rates", arguments) == (Timeout(3.0),)


async def test_a_table_may_extend_the_profile_of_its_own_name() -> None:
    assert await policies_of("database", {"pipelines.database.extends": "database"}) == profile("database")


async def test_extends_goes_through_tables_to_a_profile() -> None:
    arguments = {"pipelines.a.extends": "b", "pipelines.b.extends": "email"}
    assert await policies_of("a", arguments) == profile("email")


async def test_replace_sets_single_policies_in_their_order() -> None:
    replace = [
        {"policy": "timeout", "seconds": 9},
        {"policy": "retry", "max_attempts": 2},
        {"policy": "timeout", "seconds": 4},
    ]
    first, _, breaker, bulkhead, last = profile("http")
    assert isinstance(first, Timeout)
    assert isinstance(last, Timeout)
    policies = await policies_of("a", {"pipelines.a.extends": "http", "pipelines.a.replace": replace})
    assert policies == (Timeout(9.0), Retry(max_attempts=2), breaker, bulkhead, Timeout(4.0))


async def test_what_is_replaced_is_handed_on_to_who_extends_that() -> None:
    arguments = {
        "pipelines.a.extends": "b",
        "pipelines.b.extends": "database",
        "pipelines.b.replace": [{"policy": "timeout", "seconds": 1}],
    }
    assert (await policies_of("a", arguments))[-1] == Timeout(1.0)


async def test_policies_can_be_put_around_a_profile_and_within_it_and_are_handed_on() -> None:
    arguments = {
        "pipelines.base.extends": "database",
        "pipelines.base.outside": [{"policy": "cache", "ttl": 60}],
        "pipelines.base.inside": [{"policy": "timeout", "seconds": 1}],
        "pipelines.a.extends": "base",
        "pipelines.a.inside": [{"policy": "chaos"}],
    }
    policies = await policies_of("a", arguments)
    assert policies == (Cache(60.0), *profile("database"), Timeout(1.0), Chaos())


async def test_policies_can_be_put_around_a_tables_own() -> None:
    arguments = {
        "pipelines.a.policies": [{"policy": "timeout", "seconds": 1}],
        "pipelines.a.outside": [{"policy": "cache"}],
    }
    assert await policies_of("a", arguments) == (Cache(), Timeout(1.0))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pipelines.a.outside": [{"policy": "cache"}]}, "a.outside: has no policies to surround; expected policies"),
        ({"pipelines.a.extends": "htp"}, "a table [pipelines.htp] or a profile; did you mean 'http'?"),
        ({"pipelines.a.extends": "b", "pipelines.b": {}}, "extends a table that has no policies (is b)"),
        ({"pipelines.a.extends": "a"}, "pipelines.a.extends: extends itself"),
        (
            {"pipelines.a.extends": "http", "pipelines.a.replace": [{"policy": "cache"}]},
            "replaces a policy that is not there (is cache); "
            "expected policies of profile http, which has timeout, retry,",
        ),
        (
            {"pipelines.a.extends": "http", "pipelines.a.replace": [{"policy": "retry"}, {"policy": "retry"}]},
            "replaces a policy that is not there (is retry)",
        ),
        ({"pipelines.a.replace": [{"policy": "retry"}]}, "has nothing to replace; expected extends"),
        (
            {"pipelines.a.policies": [], "pipelines.a.replace": [{"policy": "retry"}]},
            "has nothing to replace; expected extends in place of policies",
        ),
        ({}, '[pipelines.a] with policies = [{ policy = "timeout", seconds = "2s" }], or extends = "http"'),
    ],
)
async def test_what_is_wrong_is_one_problem_with_what_would_be_right(arguments: dict[str, object], words: str) -> None:
    (problem,) = await problems_of("a", arguments)
    assert words in problem
