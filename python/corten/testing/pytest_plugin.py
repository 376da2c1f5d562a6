"""Fixtures for tests of services and plugins; pytest finds them through its entry point."""

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
    """Makes Apps for tests: on ``fake_clock``, with the plugins that are passed and no others, without a file.

    ``make_app(PostgresPlugin, arguments={"postgres.dsn": dsn})``; further options are those of `App`.
    """
    from corten.app import App

    def make(*plugins: object, name: str = "test", **options: Any) -> App[None]:
        everything: dict[str, Any] = {"plugins": plugins, "autoload": False, "config": None, "clock": fake_clock}
        return App(name, **{**everything, **options})

    return make


@pytest.fixture
def no_policies() -> Iterator[None]:
    """Guarded functions are called as if nothing guarded them, for the length of the test."""
    from corten.testing.policies import no_policies

    with no_policies():
        yield


@pytest.fixture
def only_first_attempt() -> Iterator[None]:
    """No call is repeated or hedged, for the length of the test; all other policies hold."""
    from corten.testing.policies import only_first_attempt

    with only_first_attempt():
        yield
