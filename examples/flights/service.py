"""Flights: from a broker, through guarded and cached lookups, into PostgreSQL, and out by an HTTP API.

``corten dev service:app`` starts it with real servers of its own; ``corten run service:app`` takes them from settings.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from api import api
from model import Delays, Flight, Plane
from tables import TOPIC, tables

from corten import App
from corten.asgi import serve
from corten_postgres import Postgres


class FlightsSettings(msgspec.Struct, frozen=True):
    """``[app]``: what is the service's own."""

    host: str = "127.0.0.1"
    """Where the HTTP API listens."""
    port: int = 8000


app = App("flights", settings=FlightsSettings, config=Path(__file__).with_name("corten.toml"))

COLUMNS = (*Flight.__struct_fields__, "airline", "destination_name", "aircraft", "seats")


@app.pipeline("airline")
async def airline(carrier: str) -> str:
    """The airline's name, or its code where nobody knows."""
    name = await app.get(Postgres).fetch_optional(str, "select name from airlines where carrier = $1", carrier)
    return name or carrier


@app.pipeline("airport")
async def airport(code: str) -> str:
    """The airport's name, or its code where nobody knows."""
    name = await app.get(Postgres).fetch_optional(str, "select name from airports where code = $1", code)
    return name or code


@app.pipeline("plane")
async def plane(tail_number: str) -> Plane | None:
    """The aircraft; None is an answer too, and is cached."""
    return await app.get(Postgres).fetch_optional(
        Plane, "select manufacturer, model, seats from planes where tail_number = $1", tail_number
    )


async def enriched(flight: Flight) -> tuple[object, ...]:
    """The flight as a row of ``COLUMNS``."""
    aircraft = await plane(flight.tail_number) if flight.tail_number else None
    return (
        *msgspec.structs.astuple(flight),
        await airline(flight.carrier),
        await airport(flight.destination),
        f"{aircraft.manufacturer} {aircraft.model}" if aircraft else None,
        aircraft.seats if aircraft else None,
    )


@app.consumer(TOPIC, type=Flight, batch=4000, pipeline="store")
async def store(flights: list[Flight]) -> None:
    """Keep a batch. What is there already is left alone, so that a batch that comes again changes nothing."""
    rows = [await enriched(flight) for flight in flights]
    async with app.get(Postgres).transaction() as transaction:
        await transaction.execute(
            "create temporary table if not exists arriving (like flights including defaults) on commit delete rows"
        )
        await transaction.copy("arriving", rows, columns=COLUMNS)
        await transaction.execute("insert into flights select * from arriving on conflict (id) do nothing")


@app.pipeline("delays")
async def delays(destination: str) -> Delays | None:
    """How late flights to an airport arrive."""
    return await app.get(Postgres).fetch_optional(
        Delays,
        """
        select destination, min(destination_name) as name, count(*) as flights,
               coalesce(round(avg(arrival_delay), 1), 0)::float8 as mean_minutes,
               round(avg((arrival_delay > 15)::int), 3)::float8 as late_share
        from flights where destination = $1 group by destination
        """,
        destination,
    )


app.add(tables)
app.add(serve(api(app, delays), host=lambda: app.settings.host, port=lambda: app.settings.port))

if __name__ == "__main__":
    app.run()
