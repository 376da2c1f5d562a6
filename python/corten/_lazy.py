"""Load the public names of a room when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple


class LazyNames(NamedTuple):
    """The two functions that a module with lazy names needs."""

    getattr: Callable[[str], object]
    dir: Callable[[], list[str]]


def lazy_names(room: str, modules: Mapping[str, tuple[str, ...]]) -> LazyNames:
    """Return ``__getattr__`` and ``__dir__`` of a room (PEP 562).

    :param room: the ``__name__`` of the module that has the names
    :param modules: the names that each module defines
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        from importlib import import_module

        value: object = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[room], name, value)  # later uses do not come here
        return value

    def all_names() -> list[str]:
        return sorted({*vars(sys.modules[room]), *module_of})

    return LazyNames(load, all_names)
