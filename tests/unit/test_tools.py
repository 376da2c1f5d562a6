"""Scripts on machines without Rust or Python, and the benches' arguments."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USED = ("bash", "cut", "dirname", "head", "sort")
"""The commands that the scripts call: the whole path of these tests."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder that is the whole PATH, without cargo and Python."""
    folder = tmp_path / "path"
    folder.mkdir()
    for name in USED:
        if (found := shutil.which(name)) is None:
            pytest.skip(f"there is no {name} to run the scripts with")
        (folder / name).symlink_to(found)
    return folder


def command(file: Path, script: str) -> Path:
    """Write a fake of an installed command."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def run(tool: str, *arguments: str, path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [path / "bash", ROOT / "tools" / tool, *arguments],
        env={"PATH": str(path)} | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )


class TestRust:
    def test_without_cargo_it_says_where_to_get_it(self, path: Path) -> None:
        done = run("check-rust", path=path)
        assert done.returncode == 69
        assert done.stdout == ""
        assert "no working cargo on the PATH" in done.stderr
        assert "https://rustup.rs" in done.stderr
        assert "not found" not in done.stderr

    def test_a_cargo_without_a_toolchain_is_none(self, path: Path) -> None:
        command(path / "cargo", "echo 'error: rustup could not choose a version of cargo to run' >&2; exit 1")
        done = run("check-rust", path=path)
        assert done.returncode == 69
        assert "no working cargo on the PATH" in done.stderr

    @pytest.mark.parametrize("version", ["1.70.0", "1.9.0", "1.87.0", "1.87.0-nightly"])
    def test_one_too_old_is_named_with_the_way_to_update_it(self, path: Path, version: str) -> None:
        command(path / "cargo", f"echo 'cargo {version} (0123abc 2023-01-01)'")
        done = run("check-rust", path=path)
        assert done.returncode == 69
        assert f"this is cargo {version}" in done.stderr
        assert "rustup update stable" in done.stderr

    @pytest.mark.parametrize("version", ["1.88.0", "1.95.0", "1.100.0", "2.0.0"])
    def test_one_that_is_new_enough_gets_no_word(self, path: Path, version: str) -> None:
        command(path / "cargo", f"echo 'cargo {version} (0123abc 2026-01-01)'")
        done = run("check-rust", path=path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_it_asks_for_what_the_workspace_declares(self) -> None:
        declared = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
        assert f"\nneeded={declared}\n" in (ROOT / "tools" / "check-rust").read_text()


class TestPython:
    def test_this_one_gets_no_word(self, path: Path) -> None:
        done = run("check-python", sys.executable, path=path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_one_too_old_is_named_with_its_version(self, path: Path) -> None:
        old = command(path / "python3", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
        done = run("check-python", old.name, path=path)
        assert done.returncode == 69
        assert done.stderr == (
            "Corten needs Python 3.11 or newer; `python3` is Python 3.9.2. Name another one: make PYTHON=python3.12\n"
        )

    def test_one_that_is_not_there_is_told_in_one_line(self, path: Path) -> None:
        done = run("check-python", "python3", path=path)
        assert done.returncode == 69
        assert done.stderr == (
            "Corten needs Python 3.11 or newer; `python3` does not run. Name another one: make PYTHON=python3.12\n"
        )

    def test_it_asks_for_what_the_package_declares(self) -> None:
        declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
        asked = re.search(r"version_info < \((\d+), (\d+)\)", (ROOT / "tools" / "check-python").read_text())
        assert asked is not None
        assert declared == ">=" + ".".join(asked.groups())


class TestRustupHome:
    def test_a_home_that_has_toolchains_is_kept(self, path: Path, tmp_path: Path) -> None:
        own = tmp_path / "own" / ".rustup"
        (own / "toolchains").mkdir(parents=True)
        (tmp_path / "other" / ".rustup" / "toolchains").mkdir(parents=True)
        cargo = command(tmp_path / "other" / ".cargo" / "bin" / "cargo", "exit 0")
        done = run("rustup-home", path=path, PATH=f"{cargo.parent}:{path}", HOME=str(own.parent))
        assert done.stdout == f"{own}\n"

    def test_a_fresh_home_gets_those_beside_the_cargo(self, path: Path, tmp_path: Path) -> None:
        beside = tmp_path / "other" / ".rustup"
        (beside / "toolchains").mkdir(parents=True)
        cargo = command(tmp_path / "other" / ".cargo" / "bin" / "cargo", "exit 0")
        (tmp_path / "fresh").mkdir()
        done = run("rustup-home", path=path, PATH=f"{cargo.parent}:{path}", HOME=str(tmp_path / "fresh"))
        assert done.stdout == f"{beside}\n"

    @pytest.mark.parametrize("installed", [True, False], ids=["a distribution's cargo", "no cargo"])
    def test_with_no_toolchains_anywhere_it_is_rustups_own_default(
        self, path: Path, tmp_path: Path, installed: bool
    ) -> None:
        if installed:
            command(path / "cargo", "exit 0")
        done = run("rustup-home", path=path, HOME=str(tmp_path))
        assert (done.stdout, done.stderr) == (f"{tmp_path}/.rustup\n", "")

    def test_no_home_at_all_is_no_error(self, path: Path) -> None:
        done = run("rustup-home", path=path)
        assert (done.returncode, done.stderr) == (0, "")


class TestBenches:
    @staticmethod
    def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / "benches" / script, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    def test_help_names_every_bench_and_runs_none(self) -> None:
        done = self.run("run.py", "--help")
        assert done.returncode == 0
        assert "policies" in done.stdout
        assert "--local" in done.stdout

    @pytest.mark.parametrize("argument", ["nothing", "--everything"])
    def test_an_unknown_bench_or_option_is_an_error_that_names_it(self, argument: str) -> None:
        done = self.run("run.py", argument)
        assert (done.returncode, done.stdout) == (2, "")
        assert argument in done.stderr
