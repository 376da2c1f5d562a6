"""What a plugin offers that keeps rate limits for several processes."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import msgspec


class SharedLimit(msgspec.Struct, frozen=True):
    """A limit as a backend is told of it with each request; it has no other settings."""

    algorithm: Literal["token_bucket", "leaky_bucket", "sliding_window", "fixed_window"]
    rate: float
    """Tokens a second."""
    burst: int
    """The most tokens there can be: what a bucket holds, what a window lets through."""

    @property
    def period(self) -> float:
        """The length of a window, in seconds."""
        return self.burst / self.rate


class Verdict(NamedTuple):
    """What a backend says to a request."""

    granted: bool
    """Whether the tokens were taken."""
    seconds: float
    """How long to wait: for tokens that were taken ahead of time, or until as many might be there."""


class LimiterBackend(Protocol):
    """Keeps limits for several processes, each request one atomic step, by one clock for all of them."""

    @property
    def name(self) -> str:
        """The plugin instance behind it: ``redis``."""
        ...

    async def reserve(self, key: str, limit: SharedLimit, n: int, max_wait: float) -> Verdict:
        """Take ``n`` tokens, at most ``limit.burst``, if they are there within ``max_wait`` seconds.

        Of tokens that are not there yet it takes them ahead of time, first come, first served.

        :param key: names the limit; backends put a prefix of their own before it
        :raises CortenError: it can't be reached, or fails: whoever asks then counts by itself
        """
        ...
