"""MISS: not in the cache, where None may be a value."""

from __future__ import annotations

from typing import Final


class _Miss:
    def __repr__(self) -> str:
        return "MISS"


MISS: Final = _Miss()
