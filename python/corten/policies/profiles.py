"""Profiles: policies that go together for one kind of work, to start from.

No profile has a cache: what may be old, and for how long, only the user knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from corten.policies.bulkhead import Bulkhead
from corten.policies.circuit_breaker import CircuitBreaker
from corten.policies.policy import Policy
from corten.policies.rate_limit import RateLimit
from corten.policies.retry import Retry
from corten.policies.retry_budget import RetryBudget
from corten.policies.timeout import Timeout

_FAILURES: Final = "corten.policies.failures"
"""By name, as settings write it: so `corten config` shows what decides."""


def _http() -> tuple[Policy, ...]:
    return (
        Timeout(30.0),  # in all: who asked is a person or another service, and both have left by then
        # A restart or a lost connection, not an outage: further attempts are few beside the calls.
        Retry(
            max_attempts=3,
            initial_backoff=0.2,
            max_backoff=5.0,
            predicate=f"{_FAILURES}:http_may_pass",
            budget=RetryBudget(ratio=0.2),
        ),
        CircuitBreaker(failures=5, open_for=30.0, predicate=f"{_FAILURES}:http_is_down"),
        Bulkhead(max_concurrent=50, max_waiting=100, max_wait=5.0),  # a slow service must not take all connections
        Timeout(10.0),  # an attempt: three and their waits fit into the time in all
    )


def _database() -> tuple[Policy, ...]:
    return (
        # A failover or a deadlock, while somebody waits.
        Retry(max_attempts=3, initial_backoff=0.05, max_backoff=1.0, budget=RetryBudget(ratio=0.2)),
        # What a statement does wrong (a duplicate key, say) says nothing about the server.
        CircuitBreaker(failures=5, open_for=10.0, on=("OSError", "TimeoutError", "corten.errors.ResourceUnavailable")),
        Bulkhead(max_concurrent=20, max_waiting=200, max_wait=5.0),  # about a pool of connections
        Timeout(5.0),  # what a request can wait for; reports want a pipeline of their own
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
        RateLimit("1/s", burst=5, max_wait=60.0),  # a mail waits rather than is refused
        Bulkhead(max_concurrent=5, max_waiting=1000),  # few connections at once is what mail servers allow
        Timeout(60.0),  # mail servers look at what they get before they answer
    )


def _scrape() -> tuple[Policy, ...]:
    return (
        # Nobody waits for an answer, so be patient.
        Retry(
            max_attempts=4,
            initial_backoff=2.0,
            backoff_multiplier=3.0,
            max_backoff=60.0,
            predicate=f"{_FAILURES}:http_may_pass",
        ),
        # Pages fail one by one; ten in a row are the site.
        CircuitBreaker(failures=10, open_for=60.0, successes=2, predicate=f"{_FAILURES}:http_is_down"),
        RateLimit("1/s", burst=1, max_wait=300.0),  # after an attempt that failed as well: politeness has no exception
        Bulkhead(max_concurrent=4, max_waiting=10_000),
        Timeout(20.0),
    )


_MAKERS: Final[Mapping[str, Callable[[], tuple[Policy, ...]]]] = MappingProxyType(
    {"database": _database, "email": _email, "http": _http, "scrape": _scrape}
)

PROFILES: Final = tuple(sorted(_MAKERS))
"""The names of the profiles."""


def profile(name: str) -> tuple[Policy, ...]:
    """The policies of a profile, outermost first: ``Pipeline("rates", *profile("http"))``.

    ``http`` calls another service, ``database`` asks a database, ``email`` sends mail, ``scrape`` fetches pages of
    somebody else's site. In settings the same is ``extends = "http"``. Their numbers and the reasons for them are in
    ``docs/reference/profiles.md``.

    :raises ValueError: there is none of that name
    """
    maker = _MAKERS.get(name)
    if maker is None:
        raise ValueError(f"there is no profile {name!r}; there are {', '.join(PROFILES)}")
    return maker()
