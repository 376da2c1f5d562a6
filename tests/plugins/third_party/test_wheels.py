"""Plugins that come in distributions of their own: found, ordered, run, listed; or named with what is wrong."""

from __future__ import annotations

import pytest

from .conftest import ThirdParty

pytestmark = pytest.mark.slow

POOL = """
from contextlib import asynccontextmanager
from corten.hookspecs import hookimpl
from corten.plugins import Resource

class Pool: ...

class Plugin:
    requires = {requires}

    @hookimpl
    def corten_resources(self, app):
        return [Resource({provides}, self.opened, requires=({needs}))]

    @asynccontextmanager
    async def opened(self, app):
        yield Pool()
"""


def pool(requires: tuple[str, ...] = (), provides: str = "Pool", needs: str = "") -> str:
    return POOL.format(requires=requires, provides=provides, needs=needs)


def test_a_wheel_is_found_ordered_run_and_listed(third_party: ThirdParty) -> None:
    third_party.install("alpha", pool(requires=("beta",)), version="2.0")
    third_party.install("beta", pool())
    result = third_party.start(autoload=["alpha", "beta"])
    assert "errors" not in result
    assert result["state"] == "running"
    assert result["found"] == ["Pool Pool", "Pool Pool"]
    assert result["ended"] == "stopped"
    assert result["plugins"] == [
        ["beta", "acme-beta", "1.2.3", 1, "active"],
        ["alpha", "acme-alpha", "2.0", 2, "active"],
    ]
    listed = {each["name"]: each for each in third_party.command("plugins")}
    assert listed["alpha"]["distribution"] == "acme-alpha"
    assert listed["alpha"]["version"] == "2.0"
    assert listed["beta"]["order"] < listed["alpha"]["order"]


def test_nothing_is_imported_that_autoload_does_not_ask_for(third_party: ThirdParty) -> None:
    third_party.install("alpha", pool())
    third_party.install("beta", "raise RuntimeError('imported')")
    off = third_party.start(autoload=False)
    assert (off["plugins"], off["modules"]) == ([], [])
    one = third_party.start(autoload=["alpha"])
    assert one["modules"] == ["acme_alpha"]
    assert [each[0] for each in one["plugins"]] == ["alpha"]
    told = third_party.start(arguments={"plugins.autoload": ["alpha"]})
    assert told["modules"] == ["acme_alpha"]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import nowhere_to_be_found", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("", "cannot be loaded: AttributeError"),
        (
            pool().replace("def corten_resources", "def corten_resorces"),
            "has an unknown hook corten_resorces; did you mean",
        ),
        (pool().replace("requires =", "requires_corten = requires ="), "requires_corten, which is gone"),
        (pool(requires=("nobody",)), "requires the plugin 'nobody', which is not there"),
        (pool(needs="str,"), "Pool requires str, which no plugin provides"),
    ],
    ids=["import error", "no such object", "unknown hook", "versions in code", "required plugin", "required resource"],
)
def test_a_broken_wheel_is_named_with_distribution_version_and_cause(
    third_party: ThirdParty, source: str, cause: str
) -> None:
    third_party.install("broken", source)
    result = third_party.start(autoload=["broken"])
    (error,) = result["errors"]
    assert error.startswith("plugin 'broken' (entry point broken = acme_broken:Plugin of acme-broken 1.2.3): ")
    assert cause in error
    assert result["code"] == 70
    assert result["ended"] == "failed"


def test_two_wheels_that_provide_the_same_are_both_named(third_party: ThirdParty) -> None:
    third_party.install("alpha", pool(provides="str"))
    third_party.install("beta", pool(provides="str"))
    (error,) = third_party.start(autoload=["alpha", "beta"])["errors"]
    assert "plugin 'beta'" in error
    assert "of acme-beta 1.2.3" in error
    assert "str is provided by 'alpha' (entry point alpha = acme_alpha:Plugin of acme-alpha 1.2.3) already" in error
