"""What must be there before the first flight comes: tables, what is looked up in them, and the topic."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from data import number, table

from corten import App
from corten.plugins import Resource
from corten_kafka import Kafka
from corten_postgres import Postgres

TOPIC = "flights"
PARTITIONS = 3


class Tables:
    """Stands for all of it being there; consumers start when every resource is open."""


@asynccontextmanager
async def prepared(app: App[Any]) -> AsyncGenerator[Tables, None]:
    """Make what is missing; what is there already stays."""
    postgres = app.get(Postgres)
    await postgres.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
    await postgres.execute_many(
        "insert into airlines values ($1, $2) on conflict do nothing",
        [(row["carrier"], row["name"]) for row in table("airlines")],
    )
    await postgres.execute_many(
        "insert into airports values ($1, $2) on conflict do nothing",
        [(row["faa"], row["name"]) for row in table("airports")],
    )
    await postgres.execute_many(
        "insert into planes values ($1, $2, $3, $4) on conflict do nothing",
        [(row["tailnum"], row["manufacturer"], row["model"], number(row["seats"])) for row in table("planes")],
    )
    await app.get(Kafka).ensure_topics({TOPIC: PARTITIONS})
    yield Tables()


tables = Resource(Tables, prepared, requires=(Postgres, Kafka))
