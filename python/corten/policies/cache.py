"""Cache: answer from memory what was answered before."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, cast

import msgspec

from corten.policies.fields.callables import Function, resolve_function
from corten.policies.fields.checks import at_least, positive, whole
from corten.policies.fields.struct import PolicyFields
from corten.policies.fields.templates import Template, template_of
from corten.settings import Duration, Size

if TYPE_CHECKING:
    Seconds = Duration | timedelta
    """Seconds, or a timedelta."""
    Parameters = tuple[str, ...] | str | Callable[..., Any]
    """Parameters by name; or a function of the call's arguments, or where one is found."""
    Tags = tuple[str, ...] | str | Callable[..., Any]
    """Templates over parameters; or a function, or where one is found."""
else:  # what settings can hold; a struct does not check what code passes
    Seconds = Duration
    Parameters = Tags = tuple[str, ...] | str


def _is_names(value: object) -> TypeGuard[tuple[str, ...]]:
    """Whether it is a tuple, of names until they are checked."""
    return isinstance(value, tuple)


MOST_TAGS = 64
"""Tags of one result."""
_TIMES = ("ttl", "negative_ttl", "stale", "soft_timeout", "hard_timeout")


class Cache(PolicyFields, frozen=True, tag_field="policy", tag="cache"):
    """Keeps results by the call's arguments; calls for the same key while one is under way share it (single flight).

    Each function has a cache of its own. The key is the argument itself or the tuple of all of them, without ``self``
    or ``cls``; arguments must be hashable, and equal ones are one (``1``, ``1.0`` and ``True``). Only results are kept,
    never errors; an error goes to all who waited for that call. Everybody gets the same object: don't change it.

    A function of yours that raises (``ttl_of``, ``negative``, ``tags``) costs nobody the result: it is handed out and
    not kept, counted as a callback error, and logged once. One in ``key`` raises to the caller, and no call is made.

    :raises ValueError: an impossible number, a field that contradicts another, a function that can't be found
    """

    ttl: Seconds | None = None
    """Seconds a result is good for, or a timedelta; None: until it is evicted."""
    max_entries: int = 10_000
    """Results kept for each function."""
    max_bytes: Size | None = None
    """Bytes kept for each function, as far as `sys.getsizeof` knows; None: no limit."""
    eviction: Literal["s3fifo", "lru"] = "s3fifo"
    """Who goes when it is full."""
    shared: bool = False
    """Ask and fill the App's shared tier (L2) as well: results must be what msgspec can write as msgpack."""
    version: int = 1
    """Raise it when the results' type changes: what the shared tier holds under another version is a miss."""
    key: Parameters | None = None
    """Parameters that make the key, ``("user_id",)``, ``self`` among them if named; or a function of the call's
    arguments, ``key(*args, **kwargs)``; None: all but ``self``."""
    tags: Tags = ()
    """Names under which results are invalidated together: templates over parameters, ``("user:{user_id}",)``; or a
    function of the result and the arguments, ``tags(result, *args, **kwargs)``, which gives texts. At most 64 each."""
    ttl_of: Function | None = None
    """A function of the result that gives its own time to live, ``ttl_of(result)``: seconds or a timedelta, None for
    ``ttl``, zero or less for not to be kept."""
    negative_ttl: Seconds | None = None
    """Seconds a negative result is good for; zero: it is not kept; None: as any other."""
    negative: Function | None = None
    """Which results are negative, ``negative(result)``; None: ``None`` is."""
    jitter: float = 0.0
    """The part of a time to live that is random, 0 to 1: it is shortened by up to so much, so that what came in
    together does not leave together."""
    stale: Seconds = 0.0
    """Seconds for which a result whose time has passed still answers where a call fails, or takes too long."""
    soft_timeout: Seconds | None = None
    """Seconds a caller waits for the call where a stale result could answer; the call goes on in the App's background.
    Without an App it is cancelled."""
    hard_timeout: Seconds | None = None
    """Seconds the call may take; then it is cancelled, and a stale result answers or `DeadlineExceeded` is raised."""
    early_refresh: float = 0.0
    """How eagerly a result is made anew before its time has passed: 0 not at all, 1 as in Vattani, Chierichetti and
    Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015; more is earlier. In the App's background;
    without an App the caller who was chosen waits for it."""

    def __post_init__(self) -> None:
        for name in _TIMES:
            if isinstance(value := getattr(self, name), timedelta):
                msgspec.structs.force_setattr(self, name, value.total_seconds())
        if isinstance(self.key, str) and ":" not in self.key:
            msgspec.structs.force_setattr(self, "key", (self.key,))
        if isinstance(self.tags, str) and "{" in self.tags:  # which no name of a function has
            msgspec.structs.force_setattr(self, "tags", (self.tags,))
        for name in ("key", "tags"):
            if isinstance(value := getattr(self, name), list):
                msgspec.structs.force_setattr(self, name, tuple(cast("list[object]", value)))
        for name in ("ttl", "soft_timeout", "hard_timeout"):
            if (value := getattr(self, name)) is not None:
                positive("cache", name, value)
        for name in ("negative_ttl", "stale", "jitter", "early_refresh"):
            if (value := getattr(self, name)) is not None:
                at_least("cache", name, value, 0)
        if self.jitter > 1:
            raise ValueError(f"cache: jitter is {self.jitter!r}; it is a part of the time to live, from 0 to 1")
        whole("cache", "max_entries", self.max_entries, 1, 2**32 - 2)
        if self.max_bytes is not None:
            whole("cache", "max_bytes", self.max_bytes, 1, 2**63 - 1)
        if self.eviction not in ("s3fifo", "lru"):
            raise ValueError(f"cache: eviction is {self.eviction!r}; there are 's3fifo' and 'lru'")
        self._check_functions()
        self._check_together()

    def _check_functions(self) -> None:
        for name in ("key", "tags", "ttl_of", "negative"):
            value = getattr(self, name)
            if value is None or isinstance(value, tuple):
                continue
            found = resolve_function("cache", name, value)
            if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(getattr(found, "__call__", None)):  # noqa: B004
                raise ValueError(f"cache: {name} is an async function; it must be a plain one, which answers at once")
        if (count := len(self.templates())) > MOST_TAGS:
            raise ValueError(f"cache: tags are {count}; a result has {MOST_TAGS} at most")
        parameters = cast("tuple[object, ...]", self.parameters() or ())
        if wrong := [each for each in parameters if not (isinstance(each, str) and each.isidentifier())]:
            raise ValueError(f"cache: key has {wrong[0]!r}; it must be names of parameters, or a function")
        if len(set(parameters)) < len(parameters):
            raise ValueError(f"cache: key is {parameters!r}; each parameter makes it once")

    def parameters(self) -> tuple[str, ...] | None:
        """The parameters in ``key``; None where it names none."""
        return self.key if _is_names(self.key) else None

    def templates(self) -> tuple[Template, ...]:
        """The templates in ``tags``, read; none where a function gives the tags."""
        return tuple(template_of("cache", "tags", each) for each in self.tags) if _is_names(self.tags) else ()

    def _check_together(self) -> None:
        if self.ttl is None and self.ttl_of is None and not self.negative_ttl:
            for name in ("jitter", "stale", "early_refresh"):
                if getattr(self, name):
                    raise ValueError(f"cache: {name} needs a time to live: give ttl or ttl_of as well")
        if self.negative is not None and self.negative_ttl is None:
            raise ValueError(
                "cache: negative says which results are negative, and negative_ttl not how long: give both"
            )
        if self.soft_timeout is not None:
            if not self.stale:
                raise ValueError(
                    "cache: soft_timeout is how long to wait before a stale result answers: give stale too"
                )
            soft, hard = cast("float", self.soft_timeout), cast("float | None", self.hard_timeout)
            if hard is not None and hard <= soft:
                raise ValueError(f"cache: hard_timeout is {hard!r}; it must be longer than soft_timeout, {soft!r}")
