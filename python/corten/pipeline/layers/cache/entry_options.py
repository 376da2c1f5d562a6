"""The time to live and the tags of each result, by the policy and the user's functions."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple, cast

from corten.pipeline.layers.cache.keys import Values
from corten.policies.cache import MOST_TAGS, Cache
from corten.policies.fields.callables import resolve_function

_log = logging.getLogger("corten.pipeline")


class EntryOptions(NamedTuple):
    """The time to live and the tags of one result."""

    ttl: float | None
    """Seconds; None: the cache's own time to live."""
    tags: tuple[str, ...]


class EntryRules:
    """Rules that give each result of one function its options.

    :param function: the function's name, for the log
    :param values: gives the arguments by name to the templates
    """

    def __init__(self, policy: Cache, function: str, values: Values) -> None:
        self.callback_errors = 0
        """Results on which a user's function raised, or returned a value that it must not return."""
        self._function = function
        self._negative_ttl = cast("float | None", policy.negative_ttl)
        self._negative = _resolved("negative", policy.negative)
        self._ttl_of = _resolved("ttl_of", policy.ttl_of)
        self._tags_of = None if isinstance(policy.tags, tuple) else _resolved("tags", policy.tags)
        templates = policy.templates()
        names = tuple(dict.fromkeys(name for template in templates for name in template.names))
        self._values = values.of(names) if templates else None
        order = {name: index for index, name in enumerate(names)}
        self._fillers = [template.filler(order) for template in templates]
        self._logged = False

    @property
    def are_constant(self) -> bool:
        """Whether all results have the cache's time to live and no tags."""
        return not (self._fillers or self._tags_of or self._ttl_of or self._negative_ttl is not None)

    def options_of(self, result: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> EntryOptions | None:
        """Return the options of a result, or None for a result that is not to be kept."""
        field = "ttl_of"
        try:
            ttl: float | None = None
            if self._negative_ttl is not None:
                field = "negative"
                if result is None if self._negative is None else self._negative(result):
                    ttl = self._negative_ttl
            if ttl is None and self._ttl_of is not None:
                field = "ttl_of"
                ttl = _seconds(self._ttl_of(result))
            if ttl is not None and ttl <= 0:
                return None
            field = "tags"
            return EntryOptions(ttl, self._tags(result, args, kwargs))
        except Exception:  # noqa: BLE001 - the user's function failed, and the result is good
            self.callback_errors += 1
            if not self._logged:
                self._logged = True
                _log.exception(
                    "%s: the cache's %s failed on a result, which is not kept; said once", self._function, field
                )
            return None

    def _tags(self, result: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, ...]:
        if self._tags_of is not None:
            return _texts(self._tags_of(result, *args, **kwargs))
        if self._values is None:
            return ()
        values = self._values(*args, **kwargs)
        return tuple(fill(values) for fill in self._fillers)


def _resolved(field: str, function: Any) -> Callable[..., Any] | None:
    return None if function is None else resolve_function("cache", field, function)


def _seconds(value: object) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if value is None or (isinstance(value, int | float) and not math.isnan(value)):
        return value
    raise ValueError(f"ttl_of gave {value!r}; it must be seconds, a timedelta or None")


def _texts(tags: object) -> tuple[str, ...]:
    if isinstance(tags, Iterable) and not isinstance(tags, str | bytes):
        found = tuple(cast("Iterable[object]", tags))
        if len(found) <= MOST_TAGS and all(isinstance(each, str) for each in found):
            return cast("tuple[str, ...]", found)
    raise ValueError(f"tags gave {tags!r}; it must be texts, {MOST_TAGS} at most, in a tuple, list or set")
