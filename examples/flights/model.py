"""What a flight is, as it arrives and as it is kept."""

from __future__ import annotations

from datetime import date

import msgspec


class Flight(msgspec.Struct, frozen=True, gc=False):
    """One flight out of New York, as it comes from the broker.

    Departure and arrival are minutes of the local day. A cancelled flight has no departure, a diverted one no arrival:
    such a record is incomplete, and what is incomplete becomes a dead letter.
    """

    id: str
    day: date
    carrier: str
    number: int
    origin: str
    destination: str
    distance: int
    scheduled: int
    departed: int | None = None
    arrived: int | None = None
    departure_delay: int | None = None
    arrival_delay: int | None = None
    air_time: int | None = None
    tail_number: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is incomplete; the words become the dead letter's reason."""
        if self.departed is None:
            raise ValueError("no departure time: the flight was cancelled")
        if self.arrived is None:
            raise ValueError("no arrival time: the flight was diverted or lost")


class Plane(msgspec.Struct, frozen=True):
    """What the registry knows of an aircraft."""

    manufacturer: str
    model: str
    seats: int


class Delays(msgspec.Struct, frozen=True):
    """How late flights to an airport arrived."""

    destination: str
    name: str
    flights: int
    mean_minutes: float
    late_share: float
    """The share that arrived more than 15 minutes late, 0 to 1."""
