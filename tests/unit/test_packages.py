"""The packages of this repository: licences, versions, extras, requirements."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def names_in(path: Path, python: str) -> set[str]:
    """Return the packages of a requirements file on a version of Python."""
    lines = (line.strip() for line in path.read_text().splitlines())
    wanted = (Requirement(line) for line in lines if line and not line.startswith("#"))
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    return {canonicalize_name(each.name) for each in wanted if each.marker is None or each.marker.evaluate(environment)}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("requirements", ["requirements.txt", "benches/requirements.txt"])
def test_every_requirement_is_held_at_a_version_on_every_python(requirements: str, python: str) -> None:
    assert names_in(ROOT / requirements, python) <= names_in(ROOT / "constraints.txt", python)


def test_constraints_are_versions_and_name_no_index() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", line) is None] == []


def test_every_extra_that_errors_and_docs_advise_exists() -> None:
    extras = project(ROOT)["optional-dependencies"]
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "python").rglob("*.py")):
        for advised in re.findall(r"corten\[([a-z,]+)\]", path.read_text()):
            assert set(advised.split(",")) <= extras.keys(), path


def test_every_python_that_is_supported_gets_wheels() -> None:
    classified = [
        name for line in project(ROOT)["classifiers"] for name in re.findall(r"^Programming .* (3\.\d+)$", line)
    ]
    workflow = (ROOT / ".github/workflows/wheels.yml").read_text()
    assert f"--interpreter {' '.join(classified)}\n" in workflow
    assert project(ROOT)["requires-python"] == f">={classified[0]}"
