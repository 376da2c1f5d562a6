"""A fake clock and a fresh registry for each test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import Policy
from corten.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def pipeline(clock: FakeClock, registry: Registry) -> Callable[..., Pipeline]:
    def make(*policies: Policy, name: str = "p") -> Pipeline:
        return Pipeline(name, *policies, registry=registry, clock=clock)

    return make
