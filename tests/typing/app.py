"""Types of an App; checked, not run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any, assert_type

import msgspec

from corten import App, Pipeline, Retry, profile
from corten.app import Reloaded
from corten.asgi import serve
from corten.error_handler import ErrorDetails
from corten.plugins import Task
from corten.policies import Policy


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


@app.pipeline("users")
def count(users: list[int]) -> int:
    return len(users)


@app.pipeline("users")
async def rows(limit: int) -> AsyncIterator[int]:
    for each in range(limit):
        yield each


@app.on_error(ValueError, OSError)
async def page(details: ErrorDetails) -> None: ...


@app.on_error()
def note(details: ErrorDetails) -> None: ...


@app.on_error(KeyboardInterrupt)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def never(details: ErrorDetails) -> None: ...


async def use() -> None:
    assert_type(await app.reload(), Reloaded)
    assert_type(profile("http"), tuple[Policy, ...])
    coroutine = assert_type(load_user(3, fresh=True), Coroutine[Any, Any, str])
    assert_type(await coroutine, str)
    assert_type(count([1]), int)
    assert_type([each async for each in rows(3)], list[int])
    assert_type(app.pipeline("users"), Pipeline)
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
