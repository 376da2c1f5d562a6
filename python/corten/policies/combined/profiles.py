"""Profiles: policies for common kinds of work, to start from.

No profile has a cache, for only the user knows which results may be old, and how old.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from corten.policies.bulkhead import Bulkhead
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.combined.policy import Policy
from corten.policies.rate_limit import RateLimit
from corten.policies.retry import Retry
from corten.policies.retry_budget import RetryBudget
from corten.policies.timeout import Timeout

_FAILURES: Final = "corten.policies.failures"
"""A name and no function, so that `corten config` shows the predicate."""


def _http() -> tuple[Policy, ...]:
    return (
        Timeout(30.0),  # in all: after that a person or a service has stopped waiting
        # For a restart or a lost connection, not for an outage: so few further attempts.
        Retry(
            max_attempts=3,
            initial_backoff=0.2,
            max_backoff=5.0,
            predicate=f"{_FAILURES}:http_may_pass",
            budget=RetryBudget(ratio=0.2),
        ),
        CircuitBreaker(failures=5, open_for=30.0, predicate=f"{_FAILURES}:http_is_down"),
        Bulkhead(max_concurrent=50, max_waiting=100, max_wait=5.0),  # a slow service must not take all connections
        Timeout(10.0),  # an attempt: three attempts and their backoffs fit into the time in all
    )


def _database() -> tuple[Policy, ...]:
    return (
        # For a failover or a deadlock, while a caller waits.
        Retry(max_attempts=3, initial_backoff=0.05, max_backoff=1.0, budget=RetryBudget(ratio=0.2)),
        # An error of a statement, such as a duplicate key, is no failure of the server.
        CircuitBreaker(failures=5, open_for=10.0, on=("OSError", "TimeoutError", "corten.errors.ResourceUnavailable")),
        Bulkhead(max_concurrent=20, max_waiting=200, max_wait=5.0),  # about a pool of connections
        Timeout(5.0),  # as long as a request can wait; reports want another pipeline
    )


def _email() -> tuple[Policy, ...]:
    return (
        # Greylisting (RFC 6647) asks for a minute's patience.
        Retry(
            max_attempts=4,
            initial_backoff=5.0,
            backoff_multiplier=4.0,
            max_backoff=120.0,
            predicate=f"{_FAILURES}:mail_may_pass",
        ),
        CircuitBreaker(failures=3, open_for=300.0, predicate=f"{_FAILURES}:mail_is_down"),
        RateLimit("1/s", burst=5, max_wait=60.0),  # a mail waits and is not refused
        Bulkhead(max_concurrent=5, max_waiting=1000),  # mail servers allow few connections at once
        Timeout(60.0),  # mail servers scan a mail before they answer
    )


def _scrape() -> tuple[Policy, ...]:
    return (
        # No caller waits, so be patient.
        Retry(
            max_attempts=4,
            initial_backoff=2.0,
            backoff_multiplier=3.0,
            max_backoff=60.0,
            predicate=f"{_FAILURES}:http_may_pass",
        ),
        # One page may fail alone; ten failures in a row are the site's.
        CircuitBreaker(failures=10, open_for=60.0, successes=2, predicate=f"{_FAILURES}:http_is_down"),
        RateLimit("1/s", burst=1, max_wait=300.0),  # also between attempts, to be polite
        Bulkhead(max_concurrent=4, max_waiting=10_000),
        Timeout(20.0),
    )


_MAKERS: Final[Mapping[str, Callable[[], tuple[Policy, ...]]]] = MappingProxyType(
    {"database": _database, "email": _email, "http": _http, "scrape": _scrape}
)

PROFILES: Final = tuple(sorted(_MAKERS))
"""The names of the profiles."""


def profile(name: str) -> tuple[Policy, ...]:
    """Return the policies of a profile: ``Pipeline("rates", *profile("http"))``.

    ``http`` is for calls of another service, ``database`` for queries, ``email`` for sending mail, ``scrape`` for
    fetching pages of another site. In settings, write ``extends = "http"``. ``docs/reference/profiles.md`` has the
    numbers and the reasons for them.

    :raises ValueError: there is no profile of that name
    """
    maker = _MAKERS.get(name)
    if maker is None:
        raise ValueError(f"there is no profile {name!r}; there are {', '.join(PROFILES)}")
    return maker()
