"""The pipelines of an App: policies from the settings, and what binds them to it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corten.errors import SettingsError, SettingsProblem
from corten.pipeline import Pipeline
from corten.plugins.candidate import nearest

if TYPE_CHECKING:
    from corten.app.app import App

_log = logging.getLogger("corten.app")


def pipeline_policies(app: App[Any]) -> dict[str, Sequence[Any]]:
    """The policies of each pipeline table, profiles resolved.

    :raises SettingsError: a pipeline has no policies, or a table extends what is not there or itself
    """
    tables = dict(app.own_settings.pipelines)
    default = tables.get("default")
    if default is not None and default.policies is None and default.extends is None:
        del tables["default"]
    problems: list[SettingsProblem] = []
    found: dict[str, Sequence[Any]] = {}
    extended: set[str] = set()
    for name in tables:
        chain = [name]
        while (table := tables[chain[-1]]).policies is None and table.extends is not None:
            if table.extends not in tables:
                expected = f"a table [pipelines.{table.extends}]{nearest(table.extends, list(tables))}"
                path = f"pipelines.{chain[-1]}.extends"
                problems.append(
                    SettingsProblem(path, "extends a table that is not there", expected, value=table.extends)
                )
                break
            if table.extends in chain:
                path = f"pipelines.{name}.extends"
                problems.append(SettingsProblem(path, "extends itself", "a table with policies", value=table.extends))
                break
            chain.append(table.extends)
        else:
            if table.policies is not None:
                found[name] = table.policies
        extended.update(chain[1:])
    problems = list(dict.fromkeys(problems))
    named = {problem.path.split(".")[1] for problem in problems}
    for name, pipeline in app.components.pipelines.items():
        if pipeline.from_settings and name not in found and name not in named:
            path = f"pipelines.{name}"
            expected = f'[{path}] with policies = [{{ policy = "timeout", seconds = "2s" }}], or extends'
            problems.append(SettingsProblem(path, "the code names this pipeline, and no settings do", expected))
    if problems:
        raise SettingsError(problems)
    for name in tables:
        if name not in app.components.pipelines and name not in extended:
            hint = nearest(name, list(app.components.pipelines))
            _log.warning("settings: no pipeline uses [pipelines.%s]%s", name, hint)
    return {name: policies for name, policies in found.items() if name in app.components.pipelines}


def bind(app: App[Any], pipeline: Pipeline) -> None:
    """Make a pipeline the App's own."""
    pipeline.bind(
        owner=app,
        clock=app.clock,
        registry=app.registry,
        observers=app.observers,
        tiers=app.cache_tiers,
        events=app.events,
    )
