"""What type checkers make of an App; checked, never run."""

from __future__ import annotations

from typing import assert_type

import msgspec

from corten import App, Pipeline, Retry
from corten.asgi import serve
from corten.plugins import Task


class MySettings(msgspec.Struct, frozen=True):
    greeting: str = "hello"


class Pool: ...


app = App("typed", settings=MySettings)
assert_type(app, App[MySettings])
assert_type(app.settings.greeting, str)
assert_type(App("plain"), App[None])
assert_type(app.get(Pool), Pool)
assert_type(app.get(Pool, "reporting"), Pool)
assert_type(app.add(Pipeline("rates", Retry())), Pipeline)
assert_type(app.add(serve(object())), Task)
app.override(Pool, Pool())


@app.pipeline("users")
async def load_user(user_id: int, *, fresh: bool = False) -> str:
    return f"{user_id} {fresh}"


async def use() -> None:
    assert_type(await load_user(3, fresh=True), str)
    await load_user("3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@app.task
async def refresh() -> None: ...


@app.task(name="other", restart=False)
async def other() -> None: ...


@app.every("30s", jitter="1s")
async def tick() -> None: ...


@app.check("disk", probes=["live"])
async def disk() -> None: ...


@app.consumer("flights", type=MySettings, batch=10)
async def store(values: list[MySettings]) -> None: ...


app.task(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
