"""Feature flags from the settings: on, off, or on for a share of the keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

_BUCKETS: Final = 1 << 64


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A flag that is on for a share of the keys."""

    rollout: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """The share: 0.25 is a quarter of all keys."""
    salt: str = ""
    """Decides which keys are in the share: flags with the same salt choose the same keys. By default the name."""


class FlagState(msgspec.Struct, frozen=True):
    """A flag as it is set."""

    name: str
    rollout: float
    """1 is on, 0 is off."""
    salt: str


class Flags:
    """The flags of one App, immutable: ``app.flags.is_enabled("new_checkout", key=user_id)``.

    A key's place is the 64-bit BLAKE2b (RFC 7693) of ``salt NUL key`` in UTF-8, read as a big-endian number; a flag is
    on where that is below ``rollout * 2**64``. So the same key always gets the same answer, in every process and
    version; raising a rollout turns the flag off for nobody; and flags with different salts are independent.
    """

    def __init__(self, table: Mapping[str, bool | Rollout] | None = None) -> None:
        from hashlib import blake2b  # here once: in each call it would take as long as the rest

        self._blake2b = blake2b
        self._limits: dict[str, tuple[int, bytes]] = {}
        self._states: dict[str, FlagState] = {}
        for name, flag in (table or {}).items():
            state = FlagState(name, float(flag), name) if isinstance(flag, bool) else _state(name, flag)
            self._states[name] = state
            # Scaling by a power of two is exact, so the limit is what the settings say and not a rounding of it.
            self._limits[name] = (int(state.rollout * _BUCKETS), state.salt.encode() + b"\0")

    def is_enabled(self, name: str, *, key: object = None, default: bool = False) -> bool:
        """Return whether a flag is on.

        :param key: the subject, such as a user's id, with a stable ``str``. Without a key a flag that is rolled out to
            a share is off
        :param default: the answer for flags that the settings do not have
        """
        limit = self._limits.get(name)
        if limit is None:
            return default
        threshold, salt = limit
        if threshold >= _BUCKETS:
            return True
        if threshold == 0 or key is None:
            return False
        digest = self._blake2b(salt + str(key).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < threshold

    def states(self) -> tuple[FlagState, ...]:
        """All flags of the settings, by name."""
        return tuple(self._states[name] for name in sorted(self._states))

    def __contains__(self, name: object) -> bool:
        return name in self._states

    def __repr__(self) -> str:
        return f"Flags({', '.join(f'{state.name}={state.rollout:g}' for state in self.states())})"


def _state(name: str, flag: Rollout) -> FlagState:
    return FlagState(name, flag.rollout, flag.salt or name)
