"""Durations, sizes and rates as people write them: ``"250ms"``, ``"64MiB"``, ``"100/s"``."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec

from corten import _core

Kind = Literal["duration", "size", "rate"]

Duration = Annotated[
    float, msgspec.Meta(extra={"corten": "duration"}, description='seconds, or text: "250ms", "1h30m"')
]
"""Seconds; settings also take ``"250ms"``, ``"2s"``, ``"5m"``, ``"1h30m"``."""
Size = Annotated[int, msgspec.Meta(extra={"corten": "size"}, description='bytes, or text: "64MiB", "10MB"')]
"""Bytes; settings also take ``"64MiB"``, ``"10MB"``."""
Rate = Annotated[str, msgspec.Meta(extra={"corten": "rate"}, description='events in a time: "100/s", "5/min"')]
"""Events in a time: ``"100/s"``, ``"0.5/s"``, ``"5/min"``, ``"10/30s"``."""

EXPECTED: Final[dict[Kind, str]] = {
    "duration": 'a duration such as "250ms", "2s", "5m" or "1h30m", or a number of seconds',
    "size": 'a size such as "64MiB" or "10MB", or a whole number of bytes',
    "rate": 'a rate such as "100/s", "5/min" or "10/30s"',
}

_SECONDS: Final[dict[str, Decimal]] = {
    unit: Decimal(seconds)
    for seconds, units in {
        "1e-9": ("ns",),
        "1e-6": ("us", "µs", "μs"),  # micro sign and Greek mu: keyboards have either
        "1e-3": ("ms",),
        "1": ("s", "sec", "second", "seconds"),
        "60": ("m", "min", "minute", "minutes"),
        "3600": ("h", "hour", "hours"),
        "86400": ("d", "day", "days"),
        "604800": ("w", "week", "weeks"),
    }.items()
    for unit in units
}
_BYTES: Final[dict[str, int]] = {"b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgtp", start=1)
    for suffix, base in (("b", 1000), ("ib", 1024), ("i", 1024))
}
_NUMBER = r"\d+(?:\.\d+)?"
# Not compiled yet: most programs give few of these in words, and `re` remembers what it compiled.
_DURATION_PART = rf"(?ai)\s*({_NUMBER})\s*([a-zµμ]+)"
_PLAIN = rf"(?a)\s*{_NUMBER}\s*"
_SIZE = rf"(?ai)\s*({_NUMBER})\s*([a-z]+)\s*"
# Longer texts are nobody's quantity; the bound keeps hostile ones from costing arithmetic on endless digits.
_LONGEST: Final = 64


def parse_duration(text: str | float) -> float:
    """Return the seconds of a duration: a number, or text with units.

    Units are ns, us, ms, s, m (or min), h, d and w; several add up: ``"1h30m"``.

    :raises ValueError: the value is no duration, negative or infinite
    """
    if not isinstance(text, str):
        seconds = float(text)
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"not a duration: {text!r}; it must be finite and not negative")
        return seconds
    if len(text) <= _LONGEST:
        if re.fullmatch(_PLAIN, text):
            return _finite(Decimal(text.strip()), text)
        total, at, end = Decimal(0), 0, len(text.rstrip())
        while at < end and (part := re.compile(_DURATION_PART).match(text, at)) is not None:
            # Only "M" is ambiguous in capitals elsewhere (months); here no unit is, so capitals are forgiven.
            unit = _SECONDS.get(part[2].lower())
            if unit is None:
                break
            total += Decimal(part[1]) * unit
            at = part.end()
        if at == end and at > 0:
            return _finite(total, text)
    raise ValueError(f"not a duration: {_shown(text)}; expected {EXPECTED['duration']}")


def format_duration(seconds: float) -> str:
    """Return the shortest usual text of a duration; exact for :func:`parse_duration` from 1e-12 s."""
    exact = Decimal(repr(float(seconds)))
    if seconds == int(seconds) and seconds >= 60:
        rest, parts = int(seconds), ""
        for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
            amount, rest = divmod(rest, size)
            parts += f"{amount}{unit}" if amount else ""
        if float(parse_duration(parts)) == seconds:
            return parts
    elif 0 < seconds < 1:
        for unit in ("ms", "us"):
            amount_of_unit = exact / _SECONDS[unit]
            if amount_of_unit >= 1:
                return f"{_plain(amount_of_unit)}{unit}"
    return f"{_plain(exact)}s"


def parse_size(text: str | float) -> int:
    """Return the bytes of a size: kB, MB, GB, TB and PB count in 1000s, KiB (or Ki), MiB … in 1024s.

    :raises ValueError: the value is no size, negative, or no whole number of bytes
    """
    if not isinstance(text, str):
        if isinstance(text, float) and not text.is_integer():
            raise ValueError(f"not a size: {text!r}; expected a whole number of bytes")
        if text < 0:
            raise ValueError(f"not a size: {text!r}; it must not be negative")
        return int(text)
    if len(text) <= _LONGEST:
        if re.fullmatch(_PLAIN, text):
            return _whole(Decimal(text.strip()), text)
        if (match := re.fullmatch(_SIZE, text)) is not None and (unit := _BYTES.get(match[2].lower())) is not None:
            return _whole(Decimal(match[1]) * unit, text)
    raise ValueError(f"not a size: {_shown(text)}; expected {EXPECTED['size']}")


def format_size(size: int) -> str:
    """Return the shortest exact text of a size in bytes."""
    exact: list[str] = []
    for base, suffixes in ((1024, ("KiB", "MiB", "GiB", "TiB", "PiB")), (1000, ("kB", "MB", "GB", "TB", "PB"))):
        for power, suffix in enumerate(suffixes, start=1):
            amount, rest = divmod(size, base**power)
            if amount and not rest:
                exact.append(f"{amount}{suffix}")
    return min(exact, key=lambda text: len(text.rstrip("kKMGTPiB")), default=f"{size}B")


def parse_rate(text: str) -> float:
    """Return the events a second of a rate: ``"100/s"``, ``"5/min"``, ``"10/30s"``.

    The core parses rates for settings and limiters alike.

    :raises ValueError: the text is no rate, zero, or beyond the range of a limit
    """
    if len(text) <= _LONGEST:
        try:
            return _core.parse_rate(text)
        except ValueError:
            pass
    raise ValueError(f"not a rate: {_shown(text)}; expected {EXPECTED['rate']}, between 1e-8 and 1e9 a second")


def format_rate(rate: float) -> str:
    """Return a rate of events a second as text, exact for :func:`parse_rate`.

    :raises ValueError: the rate is beyond the range of a limit
    """
    for seconds, unit in ((1, "s"), (60, "min"), (3600, "h"), (86400, "d")):
        events = rate * seconds
        text = f"{_plain(Decimal(repr(round(events, 9))))}/{unit}"
        if events >= 1 and events == round(events) and parse_rate(text) == rate:
            return text
    return f"{_plain(Decimal(repr(float(rate))))}/s"


def _finite(seconds: Decimal, text: str) -> float:
    result = float(seconds)
    if not math.isfinite(result):
        raise ValueError(f"not a duration: {_shown(text)} is without end")
    return result


def _whole(size: Decimal, text: str) -> int:
    if size != size.to_integral_value():
        raise ValueError(f"not a size: {_shown(text)} is not a whole number of bytes")
    return int(size)


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
