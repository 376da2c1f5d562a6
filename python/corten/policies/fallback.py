"""Fallback: give something else in place of a failure."""

from __future__ import annotations

from typing import Any

import msgspec

from corten.policies.fields.callables import Function, resolve_function
from corten.policies.fields.checks import positive, whole
from corten.policies.fields.exceptions import ExceptionTypes, resolve
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration


class Fallback(PolicyFields, frozen=True, tag_field="policy", tag="fallback"):
    """Gives a value, what a function returns, or the last good result, where everything inside failed.

    For every ``Exception``, refusals and time limits included; with ``on`` or ``predicate`` for what those say and
    nothing else. Cancellation is never caught. To the policies outside what it gives is a success; an error of the
    fallback itself is raised with the first one as its ``__context__``. A call that succeeds pays nothing for it,
    unless its result is to be remembered.

    Exactly one of ``value``, ``call`` and ``last_good`` says what is given; one inside another is tried first.
    """

    value: Any = msgspec.UNSET
    """This object itself, for everybody: don't change it."""
    call: Function | None = None
    """What this function returns. It is called with the error alone if that is all it takes, otherwise with the error
    and the arguments of the call: ``call(error, *args, **kwargs)``. It may be async around what is awaited."""
    last_good: bool = False
    """What the function returned last for the same arguments; where that is nothing, the error goes on outwards."""
    max_age: Duration | None = None
    """Seconds for which a result is remembered as the last good one; None: until it is evicted."""
    max_entries: int = 1000
    """Results remembered for each function; what was used longest ago goes first."""
    on: ExceptionTypes = ()
    """For these instead of every ``Exception``."""
    ignore: ExceptionTypes = ()
    """Never for these."""
    predicate: Function | None = None
    """A function of the error that is true where something is to be given, besides for those of ``on``. How it judges
    refusals and time limits of the pipeline itself is asked once, on examples."""

    def __post_init__(self) -> None:
        said = [
            name
            for name, there in (
                ("value", self.value is not msgspec.UNSET),
                ("call", self.call is not None),
                ("last_good", self.last_good),
            )
            if there
        ]
        if len(said) != 1:
            found = "none of them is" if not said else f"{' and '.join(said)} are"
            raise ValueError(f"fallback: value, call or last_good says what is given; {found} set, expected one")
        if self.call is not None:
            resolve_function("fallback", "call", self.call)
        if self.max_age is not None:
            positive("fallback", "max_age", self.max_age)
        if self.max_age is not None and not self.last_good:
            raise ValueError("fallback: max_age is how long a last good result is remembered: set last_good as well")
        whole("fallback", "max_entries", self.max_entries, 1, 2**32 - 2)
        resolve(self.on, "fallback: on")
        resolve(self.ignore, "fallback: ignore")
        if self.predicate is not None:
            resolve_function("fallback", "predicate", self.predicate)
