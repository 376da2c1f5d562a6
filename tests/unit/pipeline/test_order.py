"""Orders of policies that are probably not meant are warned of; those that are merely unusual are not."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import corten.policies
from corten.app.pipelines import Resolver
from corten.app.settings.settings import OWN_SECTIONS, OwnSettings
from corten.errors import CortenWarning, PolicyOrderWarning
from corten.pipeline import Pipeline
from corten.policies import (
    AdaptiveLimit,
    Bulkhead,
    Cache,
    Chaos,
    CircuitBreaker,
    Fallback,
    Hedge,
    RateLimit,
    Retry,
    Timeout,
)
from corten.policies.combined.order_warnings import RULES, Rule, kind_of, misplaced
from corten.policies.combined.profiles import PROFILES, profile
from corten.settings import load

DOCS = Path(__file__).parents[3] / "docs"
SETTINGS = sorted((DOCS.parent / "examples").glob("*/corten.toml"))
PAGE = (DOCS / "explanation" / "choosing_an_order.md").read_text("utf-8")


def of(word: str, **fields: Any) -> Any:
    """Something with the word and the fields of a policy."""
    kind = type(word, (SimpleNamespace,), {"kind": word})
    return kind(**fields)


def names(*policies: Any) -> list[str]:
    return [rule.name for rule in misplaced(policies)]


HEDGE = Hedge(delay=0.1)
FALLBACK = Fallback(None)
ADAPTIVE = AdaptiveLimit(max_waiting=5)
AIMD = AdaptiveLimit("aimd", on=(OSError,))
CHAOS = Chaos(0.1)
SLOW = CircuitBreaker(slow_call=1)

WRONG: list[tuple[str, tuple[Any, ...]]] = [
    ("rate_limit outside cache", (RateLimit("5/s"), Cache())),
    ("bulkhead outside cache", (Bulkhead(), Retry(), Cache())),
    ("adaptive_limit outside cache", (ADAPTIVE, Cache())),
    ("circuit_breaker outside cache", (CircuitBreaker(), Cache())),
    ("hedge outside cache", (HEDGE, Cache())),
    ("retry outside cache", (Retry(on_result=bool), Cache())),
    ("cache outside fallback", (Cache(), FALLBACK)),
    ("retry outside fallback", (Retry(), FALLBACK)),
    ("circuit_breaker outside fallback", (CircuitBreaker(), FALLBACK)),
    ("hedge outside fallback", (HEDGE, FALLBACK)),
    ("timeout outside fallback", (Timeout(1), FALLBACK)),
    ("timeout outside circuit_breaker", (Timeout(1), CircuitBreaker())),
    ("timeout outside retry", (Timeout(2), Retry(initial_backoff=2))),
    ("timeout outside timeout", (Timeout(2), Retry(), Timeout(2))),
    ("timeout outside hedge", (Timeout(0.1), HEDGE)),
    ("hedge outside timeout", (HEDGE, Timeout(0.1))),
    ("hedge outside retry", (HEDGE, Retry())),
    ("retry outside retry", (Retry(), Bulkhead(), Retry(max_attempts=2))),
    ("circuit_breaker outside retry", (SLOW, Retry())),
    ("circuit_breaker outside rate_limit", (SLOW, RateLimit("5/s", max_wait=1))),
    ("circuit_breaker outside bulkhead", (SLOW, Bulkhead(max_waiting=1))),
    ("circuit_breaker outside adaptive_limit", (SLOW, ADAPTIVE)),
    ("adaptive_limit outside retry", (ADAPTIVE, Retry())),
    ("adaptive_limit outside rate_limit", (ADAPTIVE, RateLimit("5/s", max_wait=1))),
    ("adaptive_limit outside bulkhead", (ADAPTIVE, Bulkhead(max_waiting=1))),
    ("adaptive_limit outside bulkhead", (AdaptiveLimit("aimd"), Bulkhead())),
    ("chaos outside cache", (CHAOS, Cache())),
    ("chaos outside fallback", (CHAOS, FALLBACK)),
    ("chaos outside hedge", (CHAOS, HEDGE)),
    ("chaos outside retry", (CHAOS, Retry())),
    ("chaos outside circuit_breaker", (CHAOS, CircuitBreaker())),
    ("chaos outside timeout", (CHAOS, Timeout(1))),
]

MEANT: list[tuple[Any, ...]] = [
    (),
    (FALLBACK, Cache(), Timeout(10), Retry(), HEDGE, CircuitBreaker(), RateLimit("5/s"), Bulkhead(), Timeout(2), CHAOS),
    (Timeout(10), Retry(), CircuitBreaker(), RateLimit("5/s", max_wait=1), Bulkhead(max_waiting=5), Timeout(2)),
    (RateLimit("5/s", key="user"), Cache()),
    (Cache(), RateLimit("5/s")),
    (CircuitBreaker(), Retry()),
    (CircuitBreaker(), RateLimit("5/s", max_wait=1), Bulkhead(max_waiting=1)),
    (SLOW, RateLimit("5/s"), Bulkhead(), Retry(max_attempts=1), Timeout(1)),
    (Retry(), RateLimit("5/s", max_wait=1), Bulkhead(max_waiting=5), SLOW),
    (RateLimit("5/s"), Retry(), Timeout(2)),
    (Bulkhead(), Retry()),
    (Bulkhead(), RateLimit("5/s", max_wait=5)),
    (Retry(), Cache()),
    (Timeout(2), Cache()),
    (Timeout(5), Retry()),
    (Timeout(5), CircuitBreaker(), Timeout(1)),
    (Timeout(5), FALLBACK, Timeout(1)),
    (Timeout(5), Fallback(None, on=(KeyError,))),
    (Retry(), Fallback(None, on=(KeyError,))),
    (Retry(on_result=bool), FALLBACK),
    (Retry(on=(KeyError,)), Retry(on=(OSError,))),
    (Timeout(1), Retry(initial_backoff=5, max_attempts=1)),
    (Timeout(4), Retry(backoffs=(1.0, 9.0))),
    (Hedge(quantile=0.9), Timeout(0.1)),
    (HEDGE, Retry(max_attempts=1)),
    (HEDGE, Timeout(0.5)),
    (RateLimit("10/s"), RateLimit("100/h")),
    (Retry(), CHAOS),
    (AIMD, Retry(), RateLimit("5/s", max_wait=1), Bulkhead(max_waiting=1)),
    (RateLimit("5/s", max_wait=1), ADAPTIVE),
    (Hedge(delay=0.1, quantile=0.9), Timeout(0.1)),
    (Retry(), Fallback(None, predicate=bool)),
    (Retry(), Cache(negative_ttl=5)),
    (object(), 3),
]


@pytest.mark.parametrize(("name", "policies"), WRONG, ids=[name for name, _ in WRONG])
def test_what_is_probably_not_meant_is_found(name: str, policies: tuple[Any, ...]) -> None:
    assert names(*policies) == [name]


@pytest.mark.parametrize("policies", MEANT, ids=lambda policies: " ".join(map(kind_of, policies)) or "none")
def test_what_may_well_be_meant_is_left_alone(policies: tuple[Any, ...]) -> None:
    assert names(*policies) == []


def test_every_rule_is_tried() -> None:
    assert {name for name, _ in WRONG} == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_documented_and_says_what_to_do(rule: Rule) -> None:
    assert f"| `{rule.name}` |" in PAGE
    assert re.search(r": (put|raise|leave) ", rule.reason)


def test_the_page_has_no_rule_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `(\w+ outside \w+)` \|", PAGE, re.MULTILINE)) == {rule.name for rule in RULES}


def test_a_rule_is_said_once_for_each_pair_of_words() -> None:
    assert names(RateLimit("5/s"), RateLimit("100/h"), Cache(), Cache()) == ["rate_limit outside cache"]


def test_it_is_said_at_the_users_line_once_for_each_pipeline_and_reason(pipeline: Callable[..., Pipeline]) -> None:
    with pytest.warns(PolicyOrderWarning) as said:
        made = pipeline(RateLimit("5/s"), Cache(), name="rates")
    assert [each.filename for each in said] == [str(Path(__file__).parents[1] / "conftest.py")]
    message = said[0].message
    assert isinstance(message, PolicyOrderWarning)
    assert isinstance(message, CortenWarning)
    assert (message.pipeline, message.rule) == ("rates", "rate_limit outside cache")
    assert str(message).startswith("pipeline 'rates': rate_limit outside cache: cached results cost tokens")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.configure([RateLimit("9/s"), Cache()])
    with pytest.warns(PolicyOrderWarning, match="bulkhead outside cache"):
        made.configure([Bulkhead(), Cache()])
    with pytest.warns(PolicyOrderWarning, match="rate_limit outside cache"):
        pipeline(RateLimit("5/s"), Cache(), name="other")


def test_where_warnings_are_errors_the_policies_stay_as_they_were(pipeline: Callable[..., Pipeline]) -> None:
    made = pipeline(Cache())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PolicyOrderWarning):
            made.configure([RateLimit("5/s"), Cache()])
    assert made.policies == (Cache(),)


@pytest.mark.parametrize("name", PROFILES)
def test_no_profile_is_warned_of(name: str) -> None:
    assert names(*profile(name)) == []


@pytest.mark.parametrize("file", SETTINGS, ids=lambda file: file.parent.name)
def test_no_order_in_the_settings_of_an_example_is_warned_of(file: Path) -> None:
    settings = load(OWN_SECTIONS, file=file, environ={}, secrets=None, arguments=None, ignore_unknown=True)
    resolver = Resolver(OwnSettings(settings).pipelines)
    found = {name: resolved.policies for name in resolver.tables if (resolved := resolver.resolve(name)) is not None}
    assert found
    assert {name: rules for name, policies in found.items() if (rules := names(*policies))} == {}


def policies_in(page: Path) -> Iterator[tuple[Any, ...]]:
    """The policies of each pipeline that a page makes in code, as far as they are written with literals."""
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Pipeline", "app.pipeline"):
                with suppress(ValueError, AttributeError):
                    yield tuple(policy_from(each) for each in node.args[1:])


def policy_from(node: ast.expr) -> object:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise ValueError(ast.unparse(node))
    arguments = [ast.literal_eval(each) for each in node.args]
    named = {each.arg: ast.literal_eval(each.value) for each in node.keywords if each.arg is not None}
    return getattr(corten.policies, node.func.id)(*arguments, **named)


def test_no_order_in_the_documentation_is_warned_of() -> None:
    pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md")]
    found = [(page.name, policies) for page in pages for policies in policies_in(page)]
    assert len(found) > 5
    assert [(name, rules) for name, policies in found if (rules := names(*policies))] == []
