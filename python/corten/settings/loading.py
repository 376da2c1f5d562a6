"""Loads settings: file < ``.env`` < environment < secrets folder < arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from corten.errors import SettingsError, SettingsProblem
from corten.settings.display.effective import Effective
from corten.settings.instances import Instances
from corten.settings.loaded import Settings
from corten.settings.reading.dotenv import read_dotenv
from corten.settings.reading.sources import Sourced, Sources
from corten.settings.reading.tree import shown_path
from corten.settings.section import Section

__all__ = ["Effective", "Settings", "Sourced", "load"]


def load(
    sections: Sequence[Section[Any]],
    *,
    file: Path | None,
    environ: Mapping[str, str],
    secrets: Path | None = None,
    arguments: Mapping[str, object] | None = None,
    dotenv: Path | Literal["beside"] | None = "beside",
    ignore_unknown: bool = False,
) -> Settings:
    """Read and check the settings of some sections.

    :param sections: the sections to load; the section named ``""`` owns keys at the top of the file
    :param file: the TOML file
    :param environ: the environment, of which names of fields (``CORTEN_POSTGRES__MAX_SIZE``) and aliases are read
    :param secrets: a folder with a file for each secret, named like ``postgres__password`` or as in the environment;
        it need not exist
    :param arguments: dotted paths with their values, or tables of them; they win over all else
    :param dotenv: the ``.env`` file, which need not exist; by default the one beside ``file``
    :param ignore_unknown: ignore unknown keys and variables, to load a few sections before the others
    :raises SettingsError: lists every problem
    """
    problems: list[SettingsProblem] = []
    warnings: list[str] = []
    sources = Sources(sections, problems, warnings, ignore_unknown)
    unreadable = False
    if file is not None:
        from corten.settings.reading.toml import read_toml  # tomllib compiles patterns when imported

        document = read_toml(file, problems)
        if document is not None:
            sources.root = document
        unreadable = document is None
    env_file = (file.parent if file is not None else Path()) / ".env" if dotenv == "beside" else dotenv
    if env_file is not None:
        read = read_dotenv(env_file, problems)
        shown = shown_path(env_file)
        values = {name: value for name, (value, _line) in read.items()}
        sources.variables(values, lambda name: f"{shown}:{read[name][1]} {name}", strict=True)
    sources.variables(environ, lambda name: f"environment {name}")
    if secrets is not None:
        sources.folder(secrets)
    sources.arguments(arguments or {})
    active = Instances(sources).convert(missing=not unreadable)
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return Settings(sections, active, sources.root, warnings)
