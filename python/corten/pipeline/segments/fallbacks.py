"""What the fallbacks of a run give for one function: values, what functions return, last good results."""

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
    from corten.pipeline.segments.segment import Run
    from corten.pipeline.stages.stage import Compiled

_log = logging.getLogger("corten.pipeline")


class Given:
    """Something in place of an error, whatever it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


Asked = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""A function to call, and with what, for something in place of an error."""
Give = Callable[[BaseException, tuple[Any, ...], Mapping[str, Any]], Given | Asked | None]
"""What takes the place of an error, for the arguments of the call; None: nothing, it goes on."""

_TAKES_ONE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class LastGood:
    """One function's last good results by its arguments; ``self`` and ``cls`` are left out, as a cache does."""

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
        """Keep a result; arguments that can't be hashed are not told apart, so nothing is kept for them."""
        try:
            self.results[self._key(args, kwargs)] = result
        except TypeError as error:
            if not self._warned:
                self._warned = True
                _log.warning(
                    "%s: its last good result is not remembered for these arguments: %s", self._function, error
                )

    def give(self, error: BaseException, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Given | None:  # noqa: ARG002
        """The result for the same arguments."""
        try:
            found = self.results.get(self._key(args, kwargs), MISS)
        except TypeError:
            return None
        return None if found is MISS else Given(found)


class Fallbacks:
    """Those of one run for one function.

    :param previous: those of the run at the same place before; their last good results stay where their bounds do
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
        self._gives: dict[int, Give] = {}
        for each in compiled:
            if each.stage[0] != "fallback":
                continue
            policy: Fallback = each.stage[5]
            if policy.last_good:
                old = before[len(self.last_good)] if len(self.last_good) < len(before) else None
                self.last_good.append(LastGood(policy, signature, function, clock, old))
                self._gives[id(each.stage)] = self.last_good[-1].give
            else:
                self._gives[id(each.stage)] = _give_of(policy)

    def asked(self, call: Call, run: Run, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Given | Asked | None:
        """What takes the place of the error of a call that is to fall back, or who is asked; None: it goes on."""
        stage, error = call.stage, call.error
        if stage is None or error is None:
            return None
        return self._gives[id(run.compiled[stage].stage)](error, args, kwargs)

    def remember(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        """The function returned a result."""
        for each in self.last_good:
            each.remember(args, kwargs, result)


async def awaited(awaitable: Awaitable[Any]) -> Any:
    """A coroutine around what is awaitable and no coroutine."""
    return await awaitable


def _give_of(policy: Fallback) -> Give:
    if policy.call is None:
        given = Given(policy.value)
        return lambda _error, _args, _kwargs: given
    call = resolve_function("fallback", "call", policy.call)
    if takes_arguments(call):
        return lambda error, args, kwargs: (call, (error, *args), dict(kwargs))
    return lambda error, _args, _kwargs: (call, (error,), {})


def takes_arguments(call: Callable[..., Any]) -> bool:
    """Whether a fallback's function takes more than the error; one that doesn't say what it takes gets the error."""
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):
        return False
    return not (len(parameters) == 1 and parameters[0].kind in _TAKES_ONE)
