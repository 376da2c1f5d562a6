"""Redis errors by cause: the server is away, no connection is free, a command was refused."""

from __future__ import annotations

import redis.exceptions as driver

from corten.errors import CortenError, ResourceUnavailable


class RedisError(CortenError):
    """The server refused a command; repeating it would not help."""

    retryable = False


class RedisUnavailable(ResourceUnavailable):
    """The server is away, did not answer in time, or is loading its data."""


class Unreachable(driver.ConnectionError):
    """A driver error for users of the bare client: the server is known to be away."""


AWAY = (driver.ConnectionError, driver.TimeoutError, OSError)
"""The driver's errors about the server, not the command. Wrong passwords are ConnectionErrors too: no command works
until they are corrected."""


def translate(error: driver.RedisError | OSError, name: str, address: str) -> CortenError:
    """Translate an error of the driver."""
    words = str(error) or type(error).__name__
    if isinstance(error, Unreachable):
        return RedisUnavailable(words)
    if isinstance(error, driver.AuthenticationError):
        return RedisUnavailable(f"{name} at {address}: {words}; check user and password in url")
    if isinstance(error, driver.TimeoutError):
        return RedisUnavailable(f"{name} at {address}: no answer in time ({words})")
    if isinstance(error, AWAY):
        return RedisUnavailable(f"{name} at {address}: {words}")
    return RedisError(f"{name}: {words}")
