"""Text of a key that is equal in all processes, for shared tiers and shared limits."""

from __future__ import annotations

import math
from typing import cast

import msgspec

_LONGEST = 200
"""Bytes of JSON; a longer key is hashed."""


def key_text(key: object) -> str:
    """Return a key as JSON, or its hash where the JSON is long; different keys have different texts.

    JSON writes some types alike (bytes, dates and UUIDs become text): their JSON names the type as well.

    :raises TypeError: the key can't be written as JSON
    """
    try:
        data = msgspec.json.encode(_distinct(key))
    except (ValueError, OverflowError, RecursionError) as error:
        raise TypeError(str(error)) from error
    if len(data) > _LONGEST:
        import hashlib

        return hashlib.blake2b(data, digest_size=20).hexdigest()
    return data.decode()


def pattern_text(text: str) -> str | None:
    """Return a key text in the form that patterns match (``7:de``), or None for a hash."""
    try:
        parts = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return ":".join(map(_part_text, cast("list[object]", parts))) if isinstance(parts, list) else _part_text(parts)


def _distinct(key: object) -> object:
    """Return an object whose JSON differs for different keys; a dict marks a type, as no key can be a dict."""
    if key is None or type(key) in (str, int, bool):
        return key
    if type(key) is float:
        return key if math.isfinite(key) else {"float": repr(key)}  # JSON writes infinities and NaN as null
    if type(key) is tuple:
        return [_distinct(each) for each in cast("tuple[object, ...]", key)]
    kind = type(key)
    if isinstance(key, frozenset):  # in the same order in every process
        key = sorted(msgspec.json.encode(_distinct(each)) for each in cast("frozenset[object]", key))
    return {f"{kind.__module__}.{kind.__qualname__}": key}


def _part_text(part: object) -> str:
    if isinstance(part, dict):  # a type that JSON does not distinguish
        part = next(iter(cast("dict[str, object]", part).values()), "")
    return part if isinstance(part, str) else str(part)
