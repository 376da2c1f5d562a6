"""Switches of tests, for all pipelines or for some: see `corten.testing`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal
from weakref import WeakSet

from msgspec.structs import replace

from corten.policies.combined.policy import Policy
from corten.policies.hedge import Hedge
from corten.policies.retry import Retry

if TYPE_CHECKING:
    from corten.pipeline.runtime import PipelineRuntime

Switch = Literal["no_policies", "only_first_attempt"]

_pipelines: WeakSet[PipelineRuntime] = WeakSet()
_on: list[tuple[Switch, frozenset[int] | None]] = []
"""Switches that are on, and for which pipelines by their identity; None: for all."""


def register(pipeline: PipelineRuntime) -> None:
    """Have a pipeline follow the switches from now on."""
    _pipelines.add(pipeline)


def is_on(switch: Switch, pipeline: PipelineRuntime) -> bool:
    """Return whether a switch is on for a pipeline."""
    return bool(_on) and any(each == switch and (of is None or id(pipeline) in of) for each, of in _on)


def effective(policies: Sequence[Policy], pipeline: PipelineRuntime) -> tuple[Policy, ...]:
    """Return the policies to compile, without those switched off."""
    if not is_on("only_first_attempt", pipeline):
        return tuple(policies)
    return tuple(
        replace(each, max_attempts=1) if isinstance(each, Retry) else each
        for each in policies
        if not isinstance(each, Hedge)
    )


@contextmanager
def switched(switch: Switch, pipelines: Sequence[PipelineRuntime]) -> Generator[None]:
    """Turn a switch on for some pipelines, or for all if none are named."""
    entry = (switch, frozenset(map(id, pipelines)) if pipelines else None)

    def follow() -> None:
        for pipeline in list(pipelines or _pipelines):
            pipeline.follow_switches()

    _on.append(entry)
    try:
        follow()
        yield
    finally:
        _on.remove(entry)
        follow()
