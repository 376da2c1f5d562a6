"""What every package of this repository carries when it is built."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
LICENCES = ("LICENSE-APACHE", "LICENSE-MIT")

each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


@each_plugin
def test_a_plugin_has_the_licences_of_the_library_beside_it(plugin: Path) -> None:
    for name in LICENCES:
        assert (plugin / name).read_bytes() == (ROOT / name).read_bytes(), name


@each_plugin
def test_a_plugin_says_that_it_is_typed(plugin: Path) -> None:
    assert (plugin / "src" / f"corten_{plugin.name}" / "py.typed").is_file()


@each_plugin
def test_a_plugin_agrees_with_the_library_on_what_it_needs_and_grants(plugin: Path) -> None:
    ours, its = project(ROOT), project(plugin)
    for key in ("version", "requires-python", "license"):
        assert its[key] == ours[key], key


@each_plugin
def test_a_plugin_is_found_by_its_name_and_brought_by_an_extra_of_the_library(plugin: Path) -> None:
    its = project(plugin)
    assert its["name"] == f"corten-{plugin.name}"
    assert list(its["entry-points"]["corten.plugins"]) == [plugin.name]
    assert project(ROOT)["optional-dependencies"][plugin.name] == [its["name"]]


def test_the_library_and_its_core_have_one_version() -> None:
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    assert workspace["version"] == project(ROOT)["version"]
    assert workspace["license"] == project(ROOT)["license"]


def test_the_library_says_its_version() -> None:
    import corten

    assert corten.__version__ == project(ROOT)["version"]  # type: ignore[attr-defined]
