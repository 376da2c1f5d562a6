"""Chaos: disturb calls on purpose, to test the policies around them."""

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
    """Disturbs a share of the calls: they wait, fail without being made, or return another result.

    It does nothing, and costs calls nothing, unless it is allowed: ``[chaos] allowed = true`` in the settings of the
    App, or :meth:`Pipeline.allow_chaos <corten.pipeline.Pipeline.allow_chaos>`. Put it innermost: then all other
    policies meet the disturbance as they would meet a real one (Basiri et al., "Chaos Engineering", IEEE Software
    2016).
    """

    guards_blocks: ClassVar[bool] = True

    error_rate: float = 0.0
    """The share of the calls that fail, from 0 to 1."""
    error: Error = "corten.errors.ChaosError"
    """The error that they fail with: a type, its name, or several, each as likely."""
    latency_rate: float = 0.0
    """The share of the calls that wait first, from 0 to 1; they may fail as well."""
    latency: Duration = 1.0
    """Seconds that they wait."""
    max_latency: Duration | None = None
    """The longest wait in seconds: waits are random between ``latency`` and this."""
    result_rate: float = 0.0
    """The share of the calls that return ``result`` without being made, from 0 to 1; none of them fail."""
    result: Any = None
    """The object that they return, itself and no copy."""
    key: str | None = None
    """The parameter that chooses calls by its value; None: all calls may be disturbed."""
    keys: tuple[Any, ...] = ()
    """Values of the parameter for which calls may be disturbed."""
    seed: int | None = None
    """A seed disturbs the same calls in each run; None: a random seed."""

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
        """Name the ``result_rate``, for blocks have no result; empty: it is 0."""
        return "chaos with a result_rate" if self.result_rate else ""

    def errors(self) -> tuple[type[Exception], ...]:
        """Return the types that calls may fail with; names are imported.

        :raises ValueError: there is no type, or a name leads nowhere
        """
        error = self.error
        found = resolve(error if isinstance(error, tuple) else (error,))
        if not found:
            raise ValueError("chaos: error is (); it must be at least one exception type")
        return found


TEXT = "injected by a chaos policy"
"""The text of injected errors."""


def made(kind: type[Exception]) -> Exception:
    """Make an error of a type, with a text if it takes one.

    :raises ValueError: it can be made neither from a text nor from nothing
    """
    try:
        return kind(TEXT)
    except Exception:  # noqa: BLE001 - a constructor may raise anything
        try:
            return kind()
        except Exception as error:
            raise ValueError(
                f"chaos: a {kind.__qualname__} can't be made from a text alone ({error}): derive a type that can"
            ) from error


class ChaosStatistics(msgspec.Struct, frozen=True):
    """Counts of a chaos policy."""

    calls: Annotated[int, counter("Calls that came by it")]
    delayed: Annotated[int, counter("Calls that it delayed")]
    errors: Annotated[int, counter("Calls that it made fail")]
    results: Annotated[int, counter("Calls that it gave another result")]
