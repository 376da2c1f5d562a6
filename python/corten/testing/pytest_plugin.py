"""Pytest fixtures for services and plugins, found by entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # pytest loads this file in every project's tests: it stays light
    from corten.app import App
    from corten.testing.clock import FakeClock


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that only the test moves."""
    from corten.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def make_app(fake_clock: FakeClock) -> Callable[..., App[None]]:
    """A function that makes Apps on ``fake_clock``, without installed plugins or files.

    ``make_app(PostgresPlugin, arguments={"postgres.dsn": dsn})``; it takes all options of `App`.
    """
    from corten.app import App

    def make(*plugins: object, name: str = "test", **options: Any) -> App[None]:
        everything: dict[str, Any] = {"plugins": plugins, "autoload": False, "config": None, "clock": fake_clock}
        return App(name, **{**everything, **options})

    return make


@pytest.fixture
def no_policies() -> Iterator[None]:
    """Turn all policies off during the test."""
    from corten.testing.policies import no_policies

    with no_policies():
        yield


@pytest.fixture
def only_first_attempt() -> Iterator[None]:
    """Turn retries and hedges off during the test."""
    from corten.testing.policies import only_first_attempt

    with only_first_attempt():
        yield
