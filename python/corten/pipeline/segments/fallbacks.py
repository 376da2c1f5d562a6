"""Fallbacks of one function: fixed values, functions, last good results."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from corten._core import Call, MemoryCache
from corten.clock import Clock
from corten.pipeline.functions.miss import MISS
from corten.pipeline.functions.signature import FunctionSignature
from corten.policies.fallback import Fallback
from corten.policies.fields.callables import resolve_function

if TYPE_CHECKING:
    from corten.pipeline.segments.segment import Segment
    from corten.pipeline.stages.stage import Compiled

_log = logging.getLogger("corten.pipeline")


class Value:
    """A fallback's value, which may be None."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


FunctionCall = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""A fallback's function with its arguments."""
Find = Callable[[BaseException, tuple[Any, ...], Mapping[str, Any]], Value | FunctionCall | None]
"""Finds the fallback for an error and the arguments of the call; None: the error is raised."""

_TAKES_ONE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class LastGood:
    """One function's last good results, by its arguments without ``self`` and ``cls``."""

    def __init__(
        self, policy: Fallback, signature: FunctionSignature, function: str, clock: Clock, previous: LastGood | None
    ) -> None:
        self._bounds = (policy.max_entries, policy.max_age, clock)
        self._skipped = 1 if signature.names[:1] in (("self",), ("cls",)) else 0
        self._function = function
        self._warned = False
        if previous is not None and previous._bounds == self._bounds:
            self.results: MemoryCache[Any, Any] = previous.results
        else:
            self.results = MemoryCache(policy.max_entries, ttl=policy.max_age, eviction="lru", clock=clock)

    def _key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        args = args[self._skipped :]
        return (args, tuple(sorted(kwargs.items()))) if kwargs else args

    def remember(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        """Keep a result; nothing is kept for arguments that cannot be hashed."""
        try:
            self.results[self._key(args, kwargs)] = result
        except TypeError as error:
            if not self._warned:
                self._warned = True
                _log.warning(
                    "%s: its last good result is not remembered for these arguments: %s", self._function, error
                )

    def find(self, error: BaseException, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Value | None:  # noqa: ARG002
        """Return the last good result for these arguments."""
        try:
            found = self.results.get(self._key(args, kwargs), MISS)
        except TypeError:
            return None
        return None if found is MISS else Value(found)


class Fallbacks:
    """The fallbacks of one segment for one function.

    :param previous: the fallbacks of the segment compiled before; last good results stay where their bounds do
    """

    def __init__(
        self,
        compiled: Sequence[Compiled],
        signature: FunctionSignature,
        function: str,
        clock: Clock,
        previous: object | None,
    ) -> None:
        before = list(previous.last_good) if isinstance(previous, Fallbacks) else []
        self.last_good: list[LastGood] = []
        self._find: dict[int, Find] = {}  # by the identity of the stage
        for each in compiled:
            if not isinstance(each.policy, Fallback):
                continue
            if each.policy.last_good:
                old = before[len(self.last_good)] if len(self.last_good) < len(before) else None
                self.last_good.append(LastGood(each.policy, signature, function, clock, old))
                self._find[id(each.stage)] = self.last_good[-1].find
            else:
                self._find[id(each.stage)] = _find_with(each.policy)

    def find(
        self, call: Call, segment: Segment, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Value | FunctionCall | None:
        """Return the fallback for a call's error; None: raise the error."""
        stage, error = call.stage, call.error
        if stage is None or error is None:
            return None
        return self._find[id(segment.compiled[stage].stage)](error, args, kwargs)

    def remember(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        """Keep a result that the function returned."""
        for each in self.last_good:
            each.remember(args, kwargs, result)


async def awaited(awaitable: Awaitable[Any]) -> Any:
    """Await an awaitable in a coroutine, which the core can drive."""
    return await awaitable


def _find_with(policy: Fallback) -> Find:
    if policy.call is None:
        value = Value(policy.value)
        return lambda _error, _args, _kwargs: value
    call = resolve_function("fallback", "call", policy.call)
    if takes_arguments(call):
        return lambda error, args, kwargs: (call, (error, *args), dict(kwargs))
    return lambda error, _args, _kwargs: (call, (error,), {})


def takes_arguments(call: Callable[..., Any]) -> bool:
    """Return whether a fallback's function takes more than the error."""
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):
        return False
    return not (len(parameters) == 1 and parameters[0].kind in _TAKES_ONE)
