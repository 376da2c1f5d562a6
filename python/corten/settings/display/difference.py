"""What differs between settings that were loaded one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from corten.settings.loaded import Settings
from corten.settings.reading.tree import dotted
from corten.settings.section import DEFAULT
from corten.settings.types.schema import fields


class Difference(msgspec.Struct, frozen=True):
    """A setting that was changed, added or removed."""

    section: str
    """``postgres``; for keys at the top of the file the key itself."""
    path: str
    """``postgres.reporting.max_size``."""


def differences(before: Settings, after: Settings) -> tuple[Difference, ...]:
    """Return the settings whose values differ, in the order of the sections."""
    return tuple(_differences(before, after))


def _differences(before: Settings, after: Settings) -> Iterator[Difference]:
    for name in before.sections:
        old, new = before.section(name), after.section(name)
        for instance in dict.fromkeys((*old, *new)):
            path = (*((name,) if name else ()), *(() if instance == DEFAULT else (instance,)))
            for found in _differing(old.get(instance), new.get(instance), path):
                yield Difference(found[0] if found else name, dotted(found))


def _differing(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(before, msgspec.Struct) and type(before) is type(after):
        for field in fields(type(before)):
            below = (*path, field.encode_name)
            yield from _differing(getattr(before, field.name), getattr(after, field.name), below)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        old, new = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", after)
        for key in dict.fromkeys((*old, *new)):
            yield from _differing(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, key))
    elif before != after:
        yield path


_ABSENT = object()
"""Instead of the value of a key that is not there: a key with the value None is there."""
