"""What tests switch for pipelines that are there already and those that come: see `corten.testing`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal
from weakref import WeakSet

from msgspec.structs import replace

from corten.policies.policy import Policy
from corten.policies.retry import Retry

if TYPE_CHECKING:
    from corten.pipeline.pipeline import Pipeline

Switch = Literal["no_policies", "only_first_attempt"]

_pipelines: WeakSet[Pipeline] = WeakSet()
_on: list[tuple[Switch, frozenset[int] | None]] = []
"""What is on, and for which pipelines by their identity; None: for all."""


def register(pipeline: Pipeline) -> None:
    """Let a pipeline follow what is switched from now on."""
    _pipelines.add(pipeline)


def is_on(switch: Switch, pipeline: Pipeline) -> bool:
    """Whether it is on for a pipeline."""
    return any(each == switch and (of is None or id(pipeline) in of) for each, of in _on)


def effective(policies: Sequence[Policy], pipeline: Pipeline) -> tuple[Policy, ...]:
    """The policies as they are compiled: those of the user, less what is switched off."""
    if not is_on("only_first_attempt", pipeline):
        return tuple(policies)
    return tuple(
        replace(each, max_attempts=1) if isinstance(each, Retry) else each
        for each in policies
        if each.__struct_config__.tag != "hedge"
    )


@contextmanager
def switched(switch: Switch, pipelines: Sequence[Pipeline], changed: Callable[[Pipeline], object]) -> Generator[None]:
    """Turn a switch on for some pipelines, or for all that are and will be where none are named.

    :param changed: has a pipeline follow; called for each when the switch is turned on, and when it is turned off
    """
    entry = (switch, frozenset(map(id, pipelines)) if pipelines else None)

    def follow() -> None:
        for pipeline in list(pipelines or _pipelines):
            changed(pipeline)

    _on.append(entry)
    try:
        follow()
        yield
    finally:
        _on.remove(entry)
        follow()
