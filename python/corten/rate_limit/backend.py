"""The backend that a plugin provides to share rate limits between processes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from corten.rate_limit.limiter import Algorithm


class SharedLimit(msgspec.Struct, frozen=True):
    """A limit as sent to a backend with each request; a backend stores no limits."""

    algorithm: Algorithm
    rate: float
    """Tokens per second."""
    burst: int
    """The most tokens: the size of a bucket, or the calls in a window."""

    @property
    def period(self) -> float:
        """The length of a window, in seconds."""
        return self.burst / self.rate


class Verdict(NamedTuple):
    """A backend's answer to a request."""

    granted: bool
    """Whether the tokens were taken."""
    seconds: float
    """The time to wait: for tokens taken ahead of time, or until a refused request might succeed."""


class LimiterBackend(Protocol):
    """Keeps limits for several processes, by one clock; each request is one atomic step."""

    @property
    def name(self) -> str:
        """The name of the plugin instance, such as ``redis``."""
        ...

    async def reserve(self, key: str, limit: SharedLimit, n: int, max_wait: float) -> Verdict:
        """Take ``n`` tokens, at most ``limit.burst``, if they are there within ``max_wait`` seconds.

        Tokens that are not there yet are taken ahead of time, first come, first served.

        :param key: the name of the limit; a backend adds a prefix of its own
        :raises CortenError: the backend can't be reached, or fails; the process then decides alone
        """
        ...
