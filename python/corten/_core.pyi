"""The compiled core, private to Corten and documented in `rust/python`. A test holds this file to the extension."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar, final, overload

from corten.cache.statistics import CacheStatistics
from corten.clock import Clock as AppClock
from corten.events.event import BreakerState
from corten.rate_limit.statistics import RateLimitStatistics

_K = TypeVar("_K")
_V = TypeVar("_V")
_D = TypeVar("_D")

_HistogramRow: TypeAlias = tuple[tuple[float, ...], tuple[int, ...], float]
_InstrumentRow: TypeAlias = tuple[
    str,
    Literal["counter", "gauge", "histogram"],
    str,
    str,
    list[tuple[tuple[tuple[str, str], ...], int | float | _HistogramRow]],
]

@final
class BoundCounter:
    """The sum of one set of attributes."""

    def add(self, amount: float = 1, /) -> None:
        """Add an amount.

        :raises ValueError: the amount is negative or not finite
        """

    @property
    def value(self) -> int | float:
        """The sum so far: whole unless a fraction was ever added."""

@final
class BoundGauge:
    """The value of one set of attributes."""

    def set(self, value: float, /) -> None:
        """Replace the value."""

    def add(self, amount: float = 1.0, /) -> None:
        """Add an amount, which may be negative."""

    @property
    def value(self) -> float:
        """The value now."""

@final
class BoundHistogram:
    """The distribution of one set of attributes."""

    def record(self, value: float, /) -> None:
        """Count a value.

        :raises ValueError: the value is negative or not finite
        """

    def time(self) -> Timer:
        """Record the seconds of a `with` block.

        :raises ValueError: the unit is not seconds
        """

    @property
    def count(self) -> int:
        """How many values there were."""

    @property
    def sum(self) -> float:
        """The sum of all values."""

@final
class Clock:
    """Monotonic seconds: the machine's, or a fake one that only `advance` moves."""

    def __new__(cls) -> Clock: ...
    @staticmethod
    def fake(start: float) -> Clock: ...
    def now(self) -> float: ...
    def advance(self, seconds: float) -> float: ...

@final
class Counter:
    """A sum that only rises, for each set of attributes."""

    def add(self, amount: float = 1, /, **attributes: str | float) -> None:
        """Add an amount.

        :raises ValueError: the amount is negative or not finite
        :raises TypeError: the counter has other attributes
        """

    def bind(self, **attributes: str | float) -> BoundCounter:
        """Return the series of these attributes, which needs no look-up."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes."""

@final
class Gauge:
    """A value that goes up and down, for each set of attributes."""

    def set(self, value: float, /, **attributes: str | float) -> None:
        """Replace the value.

        :raises TypeError: the gauge has other attributes
        """

    def add(self, amount: float = 1.0, /, **attributes: str | float) -> None:
        """Add an amount, which may be negative.

        :raises TypeError: the gauge has other attributes
        """

    def bind(self, **attributes: str | float) -> BoundGauge:
        """Return the series of these attributes, which needs no look-up."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes."""

@final
class Histogram:
    """A distribution, for each set of attributes."""

    def record(self, value: float, /, **attributes: str | float) -> None:
        """Count a value.

        :raises ValueError: the value is negative or not finite
        :raises TypeError: the histogram has other attributes
        """

    def time(self, **attributes: str | float) -> Timer:
        """Record the seconds of a `with` block, even if it raises.

        :raises ValueError: the histogram's unit is not seconds
        :raises TypeError: the histogram has other attributes
        """

    def bind(self, **attributes: str | float) -> BoundHistogram:
        """Return the series of these attributes, which needs no look-up."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes."""

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of the buckets."""

@final
class Registry:
    """Every instrument of one App."""

    def __new__(cls, clock: Clock | None = None, max_series: int = 1000) -> Registry: ...
    def counter(self, name: str, description: str, unit: str, attributes: list[str]) -> Counter: ...
    def gauge(self, name: str, description: str, unit: str, attributes: list[str]) -> Gauge: ...
    def histogram(
        self, name: str, description: str, unit: str, attributes: list[str], bounds: list[float]
    ) -> Histogram: ...
    def snapshot(
        self, collected: Sequence[tuple[str, Sequence[object]]]
    ) -> tuple[list[_InstrumentRow], list[tuple[str, str]]]:
        """Return all instruments and measurements, and the collectors with invalid measurements and why."""

    def render(self, collected: Sequence[tuple[str, Sequence[object]]]) -> tuple[str, list[tuple[str, str]]]:
        """Return OpenMetrics text, and the collectors with invalid measurements and why."""

    def statistics(self) -> tuple[int, int, int]:
        """Count the instruments, series and overflowed measurements."""

@final
class Timer:
    """Measures one `with` block, even if it raises."""

    def __enter__(self) -> Timer: ...
    def __exit__(self, *error: object) -> None: ...
    @property
    def seconds(self) -> float:
        """Seconds since the block began, until it ended."""

@final
class MemoryCache(Generic[_K, _V]):
    """A bounded in-process cache with time to live: a mapping that forgets.

    Full, it makes room by S3-FIFO (``eviction="s3fifo"``; Yang et al., "FIFO queues are all you need for cache
    eviction", SOSP 2023) or drops what was used longest ago (``"lru"``). An entry whose time has passed is never given
    out; it leaves when it is met, evicted, or at `expire`.

    Keys are hashable; ``__hash__``, ``__eq__``, ``__del__`` and ``weigh`` may use the cache themselves. Safe to use
    from several threads.

    :param max_entries: the most entries it holds, 1 to 2**32 - 2
    :param max_bytes: the most its entries may weigh together; what alone weighs more is not taken in
    :param ttl: seconds an entry is good for unless `set` says otherwise; None: until it is evicted
    :param jitter: the part of a time to live that is random, 0 to 1: it is shortened by up to so much
    :param stale: seconds for which `stale` still gives out an entry whose time has passed
    :param early_refresh: how eagerly a pipeline makes an entry anew before its time is over; 0 not at all, 1 as in
        Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015
    :param weigh: the weight of a key and its value; unless given, what `sys.getsizeof` says of the two (which does not
        follow references), and nothing at all where there is no ``max_bytes``
    :raises ValueError: a number out of range, or an unknown eviction
    """

    def __new__(
        cls,
        max_entries: int = 10_000,
        *,
        max_bytes: int | None = None,
        ttl: float | None = None,
        eviction: Literal["s3fifo", "lru"] = "s3fifo",
        weigh: Callable[[_K, _V], int] | None = None,
        clock: AppClock | None = None,
        jitter: float = 0.0,
        stale: float = 0.0,
        early_refresh: float = 0.0,
    ) -> MemoryCache[_K, _V]: ...
    @overload
    def get(self, key: _K, default: None = None) -> _V | None:
        """The value of a key; ``default`` where there is none. Counts a hit or a miss."""
    @overload
    def get(self, key: _K, default: _D) -> _V | _D: ...
    def __getitem__(self, key: _K) -> _V: ...
    def __setitem__(self, key: _K, value: _V) -> None: ...
    def set(self, key: _K, value: _V, ttl: float | None = None, *, tags: Sequence[str] = [], cost: float = 0.0) -> None:
        """Put a value in for ``ttl`` seconds; None: as the cache was made; infinity: until it is evicted.

        :param tags: names under which it can be invalidated with others, at most 64
        :param cost: seconds it took to make, for ``early_refresh``
        :raises ValueError: ``ttl`` is not above zero, there are too many tags, or ``weigh`` gave no weight
        """
    def stale(self, key: _K) -> tuple[_V, bool] | None:
        """A value and whether it is good, also where its time has passed, but not by more than ``stale`` seconds."""
    def has_stale(self, key: _K) -> bool:
        """Whether `stale` would give something; counts nothing."""
    def tags(self, key: _K) -> list[str]:
        """The tags of an entry; none where there is no entry."""
    def invalidate(self, key: _K) -> bool:
        """Take an entry out because it is no longer so; whether there was one. Counted, where `pop` is not."""
    def invalidate_tag(self, tag: str) -> int:
        """Take out all entries that have a tag; how many there were."""
    def invalidate_matching(self, pattern: str) -> int:
        """Take out all entries that have a tag, or a key, which is as the pattern says; how many there were.

        ``*`` is any text, ``?`` any one character, a backslash makes the next character plain. A key is its ``str()``,
        that of a tuple those of its parts with colons between them.

        :raises ValueError: the pattern ends with a single backslash
        """
    def __contains__(self, key: object) -> bool:
        """Whether there is a value; counts nothing, and saves nothing from eviction."""
    def __delitem__(self, key: _K) -> None: ...
    @overload
    def pop(self, key: _K) -> _V:
        """Take a value out; counts nothing.

        :raises KeyError: there is none, and no default
        """
    @overload
    def pop(self, key: _K, default: _D, /) -> _V | _D: ...
    def __len__(self) -> int:
        """Entries now, with those whose time has passed but which nobody has met since."""
    def __iter__(self) -> Iterator[_K]:
        """The keys there were when it was asked for, in no particular order."""
    def keys(self) -> list[_K]:
        """The keys now, in no particular order."""
    def items(self) -> list[tuple[_K, _V]]:
        """The keys and values now, in no particular order; counts nothing."""
    def clear(self) -> None:
        """Forget everything but the counts."""
    def expire(self) -> int:
        """Drop all entries whose time has passed, and say how many. Looks at every entry."""
    def configure(
        self,
        max_entries: int,
        max_bytes: int | None,
        ttl: float | None,
        jitter: float,
        stale: float,
        early_refresh: float,
    ) -> None:
        """Other caps, which hold at once, and other times, for entries that come from now on.

        :raises ValueError: a number out of range, or ``max_bytes`` for a cache that was made without it and ``weigh``
        """
    @property
    def max_entries(self) -> int:
        """The most entries it holds."""
    @property
    def max_bytes(self) -> int | None:
        """The most its entries may weigh together; None: no limit."""
    def statistics(self) -> CacheStatistics:
        """Counts since the cache was made, and what it holds now."""

@final
class Glob:
    """A pattern: ``*`` is any text, ``?`` any one character, a backslash makes the next character plain.

    Matching takes at most as many steps as pattern and text multiplied.

    :raises ValueError: the pattern ends with a single backslash
    """

    def __new__(cls, pattern: str, /) -> Glob: ...
    def matches(self, text: str, /) -> bool: ...

class Limiter:
    """One limit for all callers; the core of `corten.rate_limit.Limiter`. Never blocks."""

    def __new__(
        cls, algorithm: str, rate: str | float, burst: int | None = None, clock: AppClock | None = None
    ) -> Self: ...
    def try_acquire(self, n: int = 1) -> float: ...
    def reserve(self, n: int = 1, max_wait: float = ...) -> tuple[bool, float, int]: ...
    def cancel(self, claim: int, n: int = 1) -> None: ...
    def estimate(self, n: int = 1) -> float: ...
    def tokens(self) -> float: ...
    def add_tokens(self, n: int = 1) -> None: ...
    def replace(self, rate: str | float, burst: int | None = None) -> None: ...
    @property
    def rate(self) -> float: ...
    @property
    def burst(self) -> int: ...
    def statistics(self) -> RateLimitStatistics: ...

class KeyedLimiter:
    """One limit for each key, in bounded memory; the core of `corten.rate_limit.KeyedLimiter`. Never blocks."""

    def __new__(
        cls,
        algorithm: str,
        rate: str | float,
        burst: int | None = None,
        capacity: int = 1_048_576,
        clock: AppClock | None = None,
    ) -> Self: ...
    def try_acquire(self, key: object, n: int = 1) -> float: ...
    def reserve(self, key: object, n: int = 1, max_wait: float = ...) -> tuple[bool, float, int]: ...
    def cancel(self, key: object, claim: int, n: int = 1) -> None: ...
    def estimate(self, key: object, n: int = 1) -> float: ...
    def tokens(self, key: object) -> float: ...
    def add_tokens(self, key: object, n: int = 1) -> None: ...
    def replace(self, rate: str | float, burst: int | None = None) -> None: ...
    @property
    def rate(self) -> float: ...
    @property
    def burst(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    def statistics(self, thorough: bool = True) -> RateLimitStatistics: ...

__version__: str

@final
class Chaos:
    """The decisions of one chaos policy."""

    def __new__(
        cls,
        seed: int,
        error_rate: float,
        errors: int,
        result_rate: float,
        latency_rate: float,
        latency: float,
        max_latency: float,
        previous: Chaos | None = None,
    ) -> Chaos: ...
    def decide(self) -> tuple[float, int | None] | None: ...
    def statistics(self) -> tuple[int, int, int, int]: ...

BreakerNumbers: TypeAlias = tuple[int, float, int, int, float, float, float, float | None]
"""Failures in a row (0: none), open for, half-open calls, successes, growth, max open for, max half open, slow call."""
BreakerWindow: TypeAlias = tuple[int | None, float, int, float | None, float | None]
"""Calls, or None and seconds; the least number of calls, failure rate, slow rate."""

@final
class CircuitBreaker:
    """The state of one circuit breaker, kept when the pipeline around it is compiled again."""

    def __new__(
        cls, numbers: BreakerNumbers, window: BreakerWindow | None = None, name: str = ""
    ) -> CircuitBreaker: ...
    def replace(self, numbers: BreakerNumbers, window: BreakerWindow | None = None) -> None: ...
    def set(self, state: str, clock: Clock) -> None: ...
    def reset(self, clock: Clock) -> None: ...
    def statistics(
        self, clock: Clock
    ) -> tuple[
        BreakerState,
        int,
        tuple[int, int, int, float | None, float | None],
        int,
        int,
        float | None,
        str | None,
        str | None,
    ]: ...
    def listen(self, listener: Callable[[BreakerState, BreakerState, str, str | None], object] | None) -> None: ...

_Numbers: TypeAlias = tuple[
    str, tuple[int, int, int, int], tuple[float, float, float, float], tuple[float | None, float]
]  # algorithm; initial, min, max, max_waiting; tolerance, smoothing, backoff, tolerated drops; slow_call, probe_every

@final
class AdaptiveLimit:
    """What an adaptive limit learned and its places, kept when the pipeline around it is compiled again."""

    def __new__(cls, numbers: _Numbers) -> AdaptiveLimit: ...
    def replace(self, numbers: _Numbers) -> None: ...
    def set_limit(self, limit: float) -> None: ...
    def reset(self) -> None: ...
    def statistics(
        self,
    ) -> tuple[float, int, int, float | None, float | None, bool, int, int, int, int, int]: ...

@final
class Bulkhead:
    """The places of one bulkhead, kept when the pipeline around it is compiled again."""

    def __new__(cls, max_concurrent: int, max_waiting: int, ageing: float | None = None) -> Bulkhead: ...
    def resize(self, max_concurrent: int, max_waiting: int) -> None: ...
    def set_ageing(self, ageing: float | None) -> None: ...
    def statistics(self) -> tuple[int, int, int, int, int, int, int, int, int, int, float, float]: ...

@final
class Timers:
    """All deadlines of one asyncio loop, of pipelines on one clock, behind one timer of the loop."""

    def __new__(cls, core: Clock, clock_object: AppClock) -> Timers: ...
    def __len__(self) -> int: ...
    def tick(self, set_for: int) -> None: ...

@final
class Retry:
    """One retry policy. ``limits``: the longest backoff, and the time after which no attempt begins, in seconds."""

    @staticmethod
    def growing(
        max_attempts: int, limits: tuple[float, float | None], initial: float, multiplier: float, jitter: float
    ) -> Retry: ...
    @staticmethod
    def listed(
        max_attempts: int, limits: tuple[float, float | None], backoffs: Sequence[float], jitter: float
    ) -> Retry: ...
    @staticmethod
    def decorrelated(max_attempts: int, limits: tuple[float, float | None], initial: float) -> Retry: ...

@final
class RetryBudget:
    """The further attempts that a pipeline may make, by all its retries and hedges together."""

    def __new__(
        cls,
        ratio: float,
        min_per_second: float,
        burst: int,
        clock: Clock,
        counts: PipelineCounts,
        previous: RetryBudget | None = None,
    ) -> RetryBudget: ...
    def withdraw(self, counts: PipelineCounts) -> bool: ...
    def statistics(self, counts: PipelineCounts) -> tuple[float, int, int]: ...

@final
class Latencies:
    """The latencies of one function's calls: a quantile of them, in bounded memory."""

    def __new__(cls, quantile: float, min_samples: int, window: int) -> Latencies: ...
    def record(self, seconds: float, /) -> None: ...
    def quantile(self) -> float | None: ...
    def samples(self) -> int: ...

@final
class PipelineCounts:
    """What the calls of one pipeline came to, also written to a registry's series."""

    def __new__(cls, name: str, registry: Registry, previous: PipelineCounts | None = None) -> PipelineCounts: ...
    def hit(self) -> None: ...
    def hit_count(self) -> int: ...
    def shared_error(self) -> None: ...
    def shared_cancelled(self) -> None: ...
    def totals(self) -> tuple[int, int, int, int, int, list[tuple[str, int]]]: ...

@final
class Stage:
    """A policy that the core decides, for a :class:`Segment`. Durations are in seconds."""

    @staticmethod
    def rate_limit(limiter: Limiter | KeyedLimiter, max_wait: float, cost: int | None) -> Stage: ...
    @staticmethod
    def circuit_breaker(
        breaker: CircuitBreaker,
        on: tuple[type[BaseException], ...],
        ignore: tuple[type[BaseException], ...],
        predicate: Callable[..., Any] | None,
        timed: bool,
    ) -> Stage: ...
    @staticmethod
    def bulkhead(bulkhead: Bulkhead, max_wait: float | None, priority: int | None) -> Stage: ...
    @staticmethod
    def adaptive_limit(
        limit: AdaptiveLimit,
        max_wait: float | None,
        on: tuple[type[BaseException], ...],
        ignore: tuple[type[BaseException], ...],
    ) -> Stage: ...
    @staticmethod
    def retry(
        retry: Retry,
        on: tuple[type[BaseException], ...],
        ignore: tuple[type[BaseException], ...],
        predicate: Callable[..., Any] | None,
        on_result: Callable[..., Any] | None,
    ) -> Stage: ...
    @staticmethod
    def fallback(
        on: tuple[type[BaseException], ...],
        ignore: tuple[type[BaseException], ...],
        predicate: Callable[..., Any] | None,
    ) -> Stage: ...
    @staticmethod
    def timeout(seconds: float) -> Stage: ...

@final
class Segment:
    """The policies between two layers of Python, compiled."""

    def __new__(
        cls,
        name: str,
        clock: AppClock,
        counts: PipelineCounts,
        stages: Sequence[Stage],
        counts_calls: bool,
        inputs: Sequence[tuple[int, str]] = ...,
        emit: Callable[[Any, str, BaseException | None, int, float | None], object] | None = None,
        budget: RetryBudget | None = None,
        once: bool = False,
    ) -> Segment: ...
    @property
    def counts(self) -> PipelineCounts: ...
    def run(self, coroutine: Coroutine[Any, Any, Any], /) -> Any: ...
    def run_keyed(
        self, coroutine: Coroutine[Any, Any, Any], inputs: tuple[object, ...], horizon: float | None = None, /
    ) -> Any: ...
    def admit(self, inputs: tuple[object, ...], /) -> Call: ...

@final
class Call:
    """A call that is not over. Awaiting it drives its coroutine; dropped it gives back all it holds."""

    @property
    def action(
        self,
    ) -> Literal["proceed", "wait", "queue", "retry", "fall_back", "resume", "enter_scopes", "done"]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def until(self) -> float | None: ...
    @property
    def stage(self) -> int | None: ...
    @property
    def error(self) -> BaseException | None: ...
    def __await__(self) -> Call: ...
    def __iter__(self) -> Call: ...
    def __next__(self) -> Any: ...
    def send(self, value: object) -> Any: ...
    def throw(self, kind: object, value: object = None, traceback: TracebackType | None = None) -> Any: ...
    def close(self) -> None: ...
    def result(self) -> Any: ...
    def on_grant(self, wake: Callable[[], object]) -> bool: ...
    def refuse_itself(self, holders: int) -> None: ...
    def resume(self, make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
    def use_fallback(self, value: object) -> Any: ...
    def no_fallback(self) -> Any: ...
    def enter(self) -> None: ...
    def succeeded(self) -> None: ...
    def returned(self, value: object) -> bool: ...
    def failed(self, error: BaseException) -> bool: ...
    def abandon(self) -> None: ...

@final
class CacheLookup:
    """A cache in front of a function."""

    def __new__(
        cls,
        cache: MemoryCache[Any, Any],
        counts: PipelineCounts | None,
        miss: object,
        explain: Callable[[Any, TypeError], TypeError],
    ) -> CacheLookup: ...
    def lookup(self, key: object, /) -> Any: ...

def pipeline_time_left() -> float | None: ...
def deadlines_by_context(variable: ContextVar[Any]) -> None: ...
def merge_snapshots(snapshots: Sequence[Sequence[object]], gauges: str) -> list[_InstrumentRow]: ...
def render_snapshot(instruments: Sequence[object]) -> str: ...
def parse_rate(text: str) -> float:
    """Tokens a second of a text such as ``"100/s"``, ``"5/min"``, ``"0.5/s"``, ``"3/10s"``.

    :raises ValueError: it is not a rate
    """
