"""Chaos: make calls slow, fail, or return something else, to see what the policies around them do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from corten.metrics.measured import counter
from corten.policies.fields.checks import at_least, positive, share, whole
from corten.policies.fields.exceptions import resolve
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration

if TYPE_CHECKING:
    Error = type[Exception] | str | tuple[type[Exception] | str, ...]
    """An exception type, its name, or several of either."""
else:
    Error = str | tuple[str, ...]  # what settings can hold; a struct does not check what code passes


class Chaos(PolicyFields, frozen=True, tag_field="policy", tag="chaos"):
    """Does harm to a share of the calls: they wait, they fail without being made, or they return something else.

    It does nothing, and is not even in the way, unless it is allowed: ``[chaos] allowed = true`` in the settings of
    the App, or :meth:`Pipeline.allow_chaos <corten.pipeline.Pipeline.allow_chaos>`. It stands best as the innermost
    policy: those outside of it then meet what it does, as they would meet it in earnest (Basiri et al., "Chaos
    Engineering", IEEE Software 2016).
    """

    guards_blocks: ClassVar[bool] = True

    error_rate: float = 0.0
    """The share of the calls that fail, from 0 to 1."""
    error: Error = "corten.errors.ChaosError"
    """With what they fail: a type, its name, or several, of which each is as likely."""
    latency_rate: float = 0.0
    """The share of the calls that wait first, from 0 to 1; whether they fail as well is decided apart from it."""
    latency: Duration = 1.0
    """Seconds they wait."""
    max_latency: Duration | None = None
    """With it a wait is anything from ``latency`` to so many seconds."""
    result_rate: float = 0.0
    """The share of the calls that return ``result`` without being made, from 0 to 1; beside those that fail."""
    result: Any = None
    """What they return: this object itself."""
    key: str | None = None
    """The parameter of the function by whose value calls are chosen; None: all may be hit."""
    keys: tuple[Any, ...] = ()
    """The values of that parameter for which calls may be hit."""
    seed: int | None = None
    """The n-th call gets the same each time; None: from the operating system."""

    def __post_init__(self) -> None:
        for name in ("error_rate", "latency_rate", "result_rate"):
            share("chaos", name, getattr(self, name))
        if self.error_rate + self.result_rate > 1:
            raise ValueError(
                f"chaos: error_rate {self.error_rate:g} and result_rate {self.result_rate:g} are more than all calls "
                "together: a call either fails or returns something else"
            )
        positive("chaos", "latency", self.latency)
        if self.max_latency is not None:
            at_least("chaos", "max_latency", self.max_latency, self.latency)
        if (self.key is None) != (not self.keys):
            raise ValueError(
                f"chaos: key is {self.key!r} and keys are {self.keys!r}; expected both, the parameter and its values, "
                "or neither"
            )
        if self.key is not None and not self.key.isidentifier():
            raise ValueError(f"chaos: key is {self.key!r}; it must be the name of a parameter of the function")
        if self.seed is not None:
            whole("chaos", "seed", self.seed, 0, 2**64 - 1)
        for kind in self.errors():
            made(kind)

    def block_objection(self) -> str:
        """Name the rate that can't disturb a block, which has no result; empty: it is 0."""
        return "chaos with a result_rate" if self.result_rate else ""

    def errors(self) -> tuple[type[Exception], ...]:
        """The types that calls may fail with; names are imported.

        :raises ValueError: there is none, or a name leads nowhere
        """
        error = self.error
        found = resolve(error if isinstance(error, tuple) else (error,))
        if not found:
            raise ValueError("chaos: error is (); it must be at least one exception type")
        return found


WORDS = "injected by a chaos policy"


def made(kind: type[Exception]) -> Exception:
    """An error of a type, with words that say where it comes from where it takes any.

    :raises ValueError: it can be made neither from words nor from nothing
    """
    try:
        return kind(WORDS)
    except Exception:  # noqa: BLE001 - it may want anything, or nothing
        try:
            return kind()
        except Exception as error:
            raise ValueError(
                f"chaos: a {kind.__qualname__} can't be made from words alone ({error}): derive a type that can"
            ) from error


class ChaosStatistics(msgspec.Struct, frozen=True):
    """What a chaos policy has done."""

    calls: Annotated[int, counter("Calls that it decided about")]
    delayed: Annotated[int, counter("Calls that it made wait")]
    errors: Annotated[int, counter("Calls that it made fail")]
    results: Annotated[int, counter("Calls for which it returned something else")]
