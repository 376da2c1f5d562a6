"""Settings that change at random between calls, next to a model of what must hold."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from corten import App, Bulkhead, CircuitBreaker, Pipeline, RateLimit, Timeout
from corten.errors import CircuitOpen, RateLimited, SettingsError
from corten.policies import Policy
from corten.testing import FakeClock

NAMES = ("a", "b", "c")


class Written(NamedTuple):
    """A policy, and how settings write it."""

    policy: Policy
    toml: str


written = st.one_of(
    st.integers(1, 9).map(
        lambda n: Written(RateLimit("1/s", burst=n), f'{{ policy = "rate_limit", rate = "1/s", burst = {n} }}')
    ),
    st.integers(1, 5).map(
        lambda n: Written(CircuitBreaker(failures=n), f'{{ policy = "circuit_breaker", failures = {n} }}')
    ),
    st.integers(1, 5).map(lambda n: Written(Bulkhead(n), f'{{ policy = "bulkhead", max_concurrent = {n} }}')),
    st.integers(1, 9).map(lambda n: Written(Timeout(float(n)), f'{{ policy = "timeout", seconds = {n} }}')),
)
pages = st.fixed_dictionaries({name: st.lists(written, min_size=1, max_size=4) for name in NAMES})
mistakes = st.sampled_from(
    [
        "[pip",
        "[unknown]\nx = 1\n",
        "[shutdown]\ndeadline = 'soon'\n",
        "[pipelines.d]\nextends = 'nothing'\n",
        '[pipelines.last]\npolicies = [{ policy = "rate_limit", rate = "1/s", key = "no" }]\n',
    ]
)


def text(page: dict[str, list[Written]]) -> str:
    parts = ((name, ", ".join(each.toml for each in policies)) for name, policies in page.items())
    return "".join(f"[pipelines.{name}]\npolicies = [{policies}]\n" for name, policies in parts)


async def succeeds() -> int:
    return 1


async def fails() -> None:
    raise OSError("away")


class Reloads(RuleBasedStateMachine):
    """Three pipelines whose tables change, and one whose function refuses some policies."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "corten.toml"
        first = [Written(Timeout(1.0), '{ policy = "timeout", seconds = 1 }')]
        self.expected: dict[str, tuple[Policy, ...]] = {name: (Timeout(1.0),) for name in NAMES}
        self.file.write_text(text(dict.fromkeys(NAMES, first)))
        self.app: App[Any] = App("x", config=self.file, autoload=False, clock=FakeClock())
        for name in NAMES:
            self.app.add(Pipeline(name))
        self.keep = self.app.add(Pipeline("last", Timeout(1.0)))(succeeds)
        self.outcomes = {name: Counter[str]() for name in NAMES}
        self.applied = self.rejected = 0
        self.runner = asyncio.Runner()
        self.runner.run(self.app.__aenter__())

    def teardown(self) -> None:
        self.runner.run(self.app.__aexit__(None, None, None))
        self.runner.close()
        self.folder.cleanup()

    def open_breakers(self) -> dict[str, bool]:
        return {
            name: bool(pipeline.breakers) and pipeline.breakers[0].state == "open"
            for name, pipeline in self.app.pipelines.items()
        }

    @rule(page=pages)
    def change(self, page: dict[str, list[Written]]) -> None:
        were_open = self.open_breakers()
        self.file.write_text(text(page))
        self.runner.run(self.app.reload())
        self.applied += 1
        self.expected = {name: tuple(each.policy for each in policies) for name, policies in page.items()}
        for name, pipeline in self.app.pipelines.items():
            if were_open[name] and pipeline.breakers:
                assert pipeline.breakers[0].state == "open"

    @rule(page=pages, mistake=mistakes)
    def mistake(self, page: dict[str, list[Written]], mistake: str) -> None:
        before = {name: pipeline.statistics() for name, pipeline in self.app.pipelines.items()}
        self.file.write_text(text(page) + mistake)
        with pytest.raises(SettingsError):
            self.runner.run(self.app.reload())
        self.rejected += 1
        assert before == {name: pipeline.statistics() for name, pipeline in self.app.pipelines.items()}

    @rule(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def anything(self, content: bytes) -> None:
        """Three pipelines want policies, so nothing that is not written on purpose is right."""
        self.file.write_bytes(content)
        with pytest.raises(SettingsError):
            self.runner.run(self.app.reload())
        self.rejected += 1

    @rule(name=st.sampled_from(NAMES), good=st.booleans())
    def call(self, name: str, good: bool) -> None:
        try:
            self.runner.run(self.app.pipelines[name].call(succeeds if good else fails))
            outcome = "success"
        except OSError:
            outcome = "error"
        except RateLimited:
            outcome = "rate_limit"
        except CircuitOpen:
            outcome = "circuit_breaker"
        self.outcomes[name][outcome] += 1

    @invariant()
    def policies_and_counts_are_as_expected(self) -> None:
        for name in NAMES:
            pipeline = self.app.pipelines[name]
            assert pipeline.policies == self.expected[name]
            statistics, outcomes = pipeline.statistics(), self.outcomes[name]
            assert statistics.calls == outcomes.total()
            assert (statistics.successes, statistics.errors) == (outcomes["success"], outcomes["error"])
            refused = {word: outcomes[word] for word in ("rate_limit", "circuit_breaker") if outcomes[word]}
            assert {word: count for word, count in statistics.refused.items() if count} == refused
            assert all(bulkhead.running == 0 for bulkhead in statistics.bulkheads)
        reloads = self.app.reload_statistics()
        assert (reloads.applied, reloads.rejected) == (self.applied, self.rejected)


TestReloads = Reloads.TestCase
TestReloads.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
