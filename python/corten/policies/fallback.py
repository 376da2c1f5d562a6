"""Fallback: return something else in place of an error."""

from __future__ import annotations

from typing import Any

import msgspec

from corten.policies.fields.callables import Function, resolve_function
from corten.policies.fields.checks import positive, whole
from corten.policies.fields.exceptions import ExceptionTypes, resolve
from corten.policies.fields.struct import PolicyFields
from corten.settings import Duration


class Fallback(PolicyFields, frozen=True, tag_field="policy", tag="fallback"):
    """Returns a value, a function's result, or the last good result, in place of an error.

    It catches every ``Exception``, refusals and time limits included; with ``on`` or ``predicate`` only the errors they
    name. It never catches cancellation. To outer policies its result is a success. An error of the fallback itself is
    raised with the first error as its ``__context__``. A call that succeeds pays nothing, unless its result is
    remembered.

    Set exactly one of ``value``, ``call`` and ``last_good``. An inner fallback is tried first.
    """

    value: Any = msgspec.UNSET
    """Return this object, itself and no copy: don't change it."""
    call: Function | None = None
    """Return the result of this function. It gets the error alone if it takes one argument, otherwise the error and
    the arguments of the call: ``call(error, *args, **kwargs)``. It may be async for async functions."""
    last_good: bool = False
    """Return the function's last result for the same arguments; without one the error is raised."""
    max_age: Duration | None = None
    """Seconds for which a last good result is remembered; None: until it is evicted."""
    max_entries: int = 1000
    """Results remembered for each function; the least recently used is evicted first."""
    on: ExceptionTypes = ()
    """Errors to catch instead of every ``Exception``."""
    ignore: ExceptionTypes = ()
    """Errors never to catch."""
    predicate: Function | None = None
    """A function of the error, true for errors to catch besides those in ``on``. It judges the pipeline's own refusals
    and time limits once, on examples."""

    def __post_init__(self) -> None:
        given = [
            name
            for name, is_set in (
                ("value", self.value is not msgspec.UNSET),
                ("call", self.call is not None),
                ("last_good", self.last_good),
            )
            if is_set
        ]
        if len(given) != 1:
            found = f"{' and '.join(given)} are" if given else "none of them is"
            raise ValueError(f"fallback: {found} set; expected one of value, call and last_good")
        if self.call is not None:
            resolve_function("fallback", "call", self.call)
        if self.max_age is not None:
            positive("fallback", "max_age", self.max_age)
        if self.max_age is not None and not self.last_good:
            raise ValueError("fallback: max_age is for last good results: set last_good as well")
        whole("fallback", "max_entries", self.max_entries, 1, 2**32 - 2)
        resolve(self.on, "fallback: on")
        resolve(self.ignore, "fallback: ignore")
        if self.predicate is not None:
            resolve_function("fallback", "predicate", self.predicate)
