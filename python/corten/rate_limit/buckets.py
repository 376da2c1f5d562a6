"""Token buckets and leaky buckets."""

from __future__ import annotations

from corten.rate_limit.limiter import KeyedLimiter, Limiter


class TokenBucket(Limiter):
    """A bucket of ``burst`` tokens, refilled at ``rate``; it starts full.

    GCRA (ITU-T I.371) in one atomic number; rates are kept as whole nanoseconds per token.

    :param rate: a text such as ``"100/s"``, or tokens per second
    :param burst: tokens a full bucket holds; None: the number before the slash, at least 1
    :raises ValueError: not a rate, or a burst below 1
    """

    __slots__ = ()
    algorithm = "token_bucket"


class LeakyBucket(Limiter):
    """A queue with a steady outflow: no burst after a quiet time; it starts empty.

    ``tokens()`` is the room left in the queue. The leaky bucket as a queue (Turner, 1986), as nginx's ``limit_req``.

    :param rate: a text such as ``"100/s"``, or calls per second
    :param burst: calls the queue holds, the one that goes now included; None: the number before the slash
    :raises ValueError: not a rate, or a burst below 1
    """

    __slots__ = ()
    algorithm = "leaky_bucket"


class KeyedTokenBucket(KeyedLimiter):
    """A token bucket for each key, in 48 bytes per key of the capacity.

    Memory is allocated as it is used. A key is any hashable value, known by 64 bits of a randomly keyed hash. Keys with
    a full bucket take no room. When too many keys are live at once, the limiter forgets the fullest bucket near the new
    one: its key finds a full bucket when it returns (counted in ``evictions``; with as many live keys as the capacity,
    about one in a hundred).

    :param rate: a text such as ``"100/s"``, or tokens per second, for each key
    :param burst: tokens a full bucket holds; None: the number before the slash, at least 1
    :param capacity: keys for which there is room, 1 to 2**32
    :raises ValueError: not a rate, a burst below 1, or a capacity out of range
    """

    __slots__ = ()
    algorithm = "token_bucket"


class KeyedLeakyBucket(KeyedLimiter):
    """A `LeakyBucket` for each key, in bounded memory as in `KeyedTokenBucket`."""

    __slots__ = ()
    algorithm = "leaky_bucket"
