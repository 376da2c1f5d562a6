"""What goes wrong with Redis, told apart: it is away, there is no free connection, or it refused a command."""

from __future__ import annotations

import redis.exceptions as driver

from corten.errors import CortenError, ResourceUnavailable


class RedisError(CortenError):
    """The server refused a command; repeating it would not help."""

    retryable = False


class RedisUnavailable(ResourceUnavailable):
    """The server is away, did not answer in time, or is loading its data."""


class Unreachable(driver.ConnectionError):
    """The driver's own kind of error for users of the bare client: the server is known to be away."""


AWAY = (driver.ConnectionError, driver.TimeoutError, OSError)
"""What the driver raises when the server, not the command, is the trouble. Wrong passwords are among its
ConnectionErrors, too: nothing works until somebody mends them."""


def translate(error: driver.RedisError | OSError, name: str, address: str) -> CortenError:
    """The error of ours that says what an error of the driver means."""
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
