"""Options of the whole test suite."""

from __future__ import annotations

import os

import hypothesis
import pytest

# A slow machine is no reason to fail. Where CI is set, hypothesis's own profile for it says so too, and draws the same
# examples each time.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
if "CI" not in os.environ:
    hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--no-skips``, for runs in which everything must be there."""
    parser.addoption("--no-skips", action="store_true", help="count a skipped test as a failure")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Turn a skip into a failure that tells the reason for the skip."""
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and --no-skips was given: {report.longrepr}"
    return report
