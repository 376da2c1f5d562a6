"""The source of wrappers on the hot path, held to the byte: each further line there is paid by every call."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

from corten import Cache, CircuitBreaker, Pipeline, RateLimit, Retry, Timeout

CALLED = """\
async def _corten_guarded(user_id):
    _corten_result = _corten_run(_corten_function(user_id))
    if _corten_type(_corten_result) is _corten_Call:
        _corten_go_on, _corten_make = _corten_carry_out, _corten_function
        await _corten_result
        _corten_result = _corten_result.result()
        if _corten_type(_corten_result) is _corten_Call:
            return await _corten_go_on(_corten_result, _corten_make, (user_id,), {})
    return _corten_result
"""
CALLED_BY_KEY = """\
async def _corten_guarded(user_id):
    _corten_result = _corten_run(_corten_function(user_id), (user_id,))
    if _corten_type(_corten_result) is _corten_Call:
        _corten_go_on, _corten_make = _corten_carry_out, _corten_function
        await _corten_result
        _corten_result = _corten_result.result()
        if _corten_type(_corten_result) is _corten_Call:
            return await _corten_go_on(_corten_result, _corten_make, (user_id,), {}, (user_id,))
    return _corten_result
"""
CACHED = """\
async def _corten_guarded(user_id):
    _corten_result = _corten_lookup(user_id)
    if _corten_result is not _corten_MISS:
        return _corten_result
    return await _corten_on_miss(user_id, (user_id,), {})
"""
CACHED_SYNC = """\
def _corten_guarded(user_id):
    _corten_result = _corten_lookup(user_id)
    if _corten_result is not _corten_MISS:
        return _corten_result
    return _corten_on_miss(user_id, (user_id,), {})
"""


async def load(user_id: int) -> int:
    return user_id


def load_sync(user_id: int) -> int:
    return user_id


def source_of(guarded: Callable[..., Any]) -> str:
    return "".join(linecache.getlines(guarded.__code__.co_filename))


def test_a_call_under_policies_of_the_core_runs_no_more_than_it_must() -> None:
    pipeline = Pipeline("p", Retry(), CircuitBreaker(), RateLimit("100/s"), Timeout(2))
    assert source_of(pipeline(load)) == CALLED


def test_a_call_with_a_keyed_limit_hands_on_the_key() -> None:
    assert source_of(Pipeline("p", RateLimit("100/s", key="user_id"))(load)) == CALLED_BY_KEY


def test_a_cached_call_looks_into_the_cache_first() -> None:
    pipeline = Pipeline("p", Cache(ttl=60), Retry(), Timeout(2))
    assert source_of(pipeline(load)) == CACHED


def test_a_cached_sync_call_is_the_same_without_await() -> None:
    assert source_of(Pipeline("p", Cache(ttl=60))(load_sync)) == CACHED_SYNC
