"""Fixtures for tests of services and plugins; pytest finds them through its entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from corten.testing.clock import FakeClock


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that only the test moves."""
    from corten.testing.clock import FakeClock

    return FakeClock()
