"""Pipelines of an App: policies from the settings, and binding."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from corten.app.internals import internals_of
from corten.app.settings.settings import OwnSettings
from corten.errors import SettingsError, SettingsProblem
from corten.pipeline import Pipeline
from corten.pipeline.controls.named import ContradictionError, contradictions
from corten.pipeline.pipeline import runtime_of
from corten.policies import PROFILES, profile
from corten.policies.rate_limit import RateLimit
from corten.spelling import suggestion

if TYPE_CHECKING:
    from corten.app.app import App
    from corten.app.settings.settings import PipelineSettings
    from corten.policies import Policy
    from corten.settings import Settings

_log = logging.getLogger("corten.app")


class Resolved(NamedTuple):
    """The policies of a pipeline table, ``extends`` followed."""

    policies: Sequence[Policy]
    source: str = ""
    """The source of the policies if it is not the table itself: ``profile http``, ``[pipelines.lookup]``."""


class Resolver:
    """Follows ``extends`` through tables and profiles, and collects problems."""

    def __init__(self, tables: Mapping[str, PipelineSettings]) -> None:
        default = tables.get("default")
        is_empty = default is not None and default.policies is None and default.extends is None
        self.tables = {name: table for name, table in tables.items() if not (is_empty and name == "default")}
        self.extended: set[str] = set()
        """Tables that another table extends."""
        self._problems: dict[SettingsProblem, None] = {}

    @property
    def problems(self) -> list[SettingsProblem]:
        """The problems, each once."""
        return list(self._problems)

    def resolve(self, name: str) -> Resolved | None:
        """Return the policies of a table, if it has any without problems."""
        return self._resolve(name, (name,))

    def _resolve(self, name: str, chain: tuple[str, ...]) -> Resolved | None:
        table = self.tables[name]
        found = self._middle(name, table, chain)
        if found is None or not (table.outside or table.inside):
            return found
        policies = (*table.outside, *found.policies, *table.inside)
        own = f"[pipelines.{name}]"
        return Resolved(policies, found.source if found.source.endswith(own) else _both(found.source, own))

    def _middle(self, name: str, table: PipelineSettings, chain: tuple[str, ...]) -> Resolved | None:
        """Return the policies of a table without its ``outside`` and ``inside``."""
        if table.policies is not None:
            if table.replace:
                self._wrong(name, "replace", "has nothing to replace", "extends in place of policies")
                return None
            return Resolved(table.policies)
        if table.extends is None:
            if table.replace:
                self._wrong(name, "replace", "has nothing to replace", "extends, a table or a profile")
            elif table.outside or table.inside:
                field = "outside" if table.outside else "inside"
                self._wrong(name, field, "has no policies to surround", "policies, or extends")
            return None
        base = self._base(name, table.extends, chain)
        if base is None or not table.replace:
            return base
        return self._replaced(name, table.replace, base)

    def _base(self, name: str, extends: str, chain: tuple[str, ...]) -> Resolved | None:
        if extends in self.tables and extends not in chain:
            self.extended.add(extends)
            if self.tables[extends].policies is None and self.tables[extends].extends is None:
                self._wrong(name, "extends", "extends a table that has no policies", "a table with policies", extends)
                return None
            base = self._resolve(extends, (*chain, extends))
            return base and Resolved(base.policies, base.source or f"[pipelines.{extends}]")
        # A table may bear the name of the profile that it extends.
        if extends in PROFILES and (extends == name or extends not in chain):
            return Resolved(profile(extends), f"profile {extends}")
        if extends in chain:
            self._wrong(chain[0], "extends", "extends itself", "a table with policies", extends)
        else:
            hint = suggestion(extends, [*self.tables, *PROFILES])
            expected = f"a table [pipelines.{extends}] or a profile{hint}"
            self._wrong(name, "extends", "extends a missing table", expected, extends)
        return None

    def _replaced(self, name: str, replace: Sequence[Policy], base: Resolved) -> Resolved | None:
        policies = list(base.policies)
        seen: dict[str, int] = {}
        for policy in replace:
            kind = policy.kind
            places = [at for at, each in enumerate(base.policies) if each.kind == kind]
            place = seen[kind] = seen.get(kind, -1) + 1
            if place >= len(places):
                kinds = ", ".join(each.kind for each in base.policies)
                expected = f"policies of {base.source}, which has {kinds}; or all policies in place of extends"
                self._wrong(name, "replace", "replaces a policy that is not there", expected, kind)
                return None
            policies[places[place]] = policy
        return Resolved(policies, _both(base.source, f"[pipelines.{name}]"))

    def _wrong(self, name: str, field: str, message: str, expected: str, value: str = "") -> None:
        self._problems[SettingsProblem(f"pipelines.{name}.{field}", message, expected, value=value)] = None


def _both(one: str, other: str) -> str:
    return f"{one} and {other}" if one else other


def pipeline_policies(
    app: App[Any], settings: Settings | None = None, unused: Callable[[str], object] = _log.warning
) -> dict[str, Sequence[Policy]]:
    """Return the policies of the settings for each pipeline of an App.

    :param unused: called with a warning for each table that no pipeline uses
    :param settings: by default the loaded settings
    :raises SettingsError: a pipeline has no policies, or a table extends itself or a missing table
    """
    settings = internals_of(app).settings.loaded if settings is None else settings
    resolver = Resolver(OwnSettings(settings).pipelines)
    found = {name: each.policies for name in resolver.tables if (each := resolver.resolve(name)) is not None}
    problems = resolver.problems
    named = {problem.path.split(".")[1] for problem in problems}
    for name, pipeline in app.pipelines.items():
        if runtime_of(pipeline).from_settings and name not in found and name not in named:
            path = f"pipelines.{name}"
            expected = f'[{path}] with policies = [{{ policy = "timeout", seconds = "2s" }}], or extends = "http"'
            problems.append(
                SettingsProblem(path, "the code uses this pipeline, and the settings have no policies for it", expected)
            )
    if problems:
        raise SettingsError(located(problems, settings))
    for name in resolver.tables:
        if name not in app.pipelines and name not in resolver.extended:
            hint = suggestion(name, list(app.pipelines))
            unused(f"settings: no pipeline uses [pipelines.{name}]{hint}")
    return {name: policies for name, policies in found.items() if name in app.pipelines}


def located(problems: Sequence[SettingsProblem], settings: Settings) -> list[SettingsProblem]:
    """Return problems with the sources of their settings."""
    sources = {each.path: each.source for each in settings.effective() if each.source != "default"}

    def source_of(problem: SettingsProblem) -> str:
        extends = f"{problem.path.rpartition('.')[0]}.extends"
        return problem.source or sources.get(problem.path) or sources.get(extends, "")

    return [msgspec.structs.replace(each, source=source_of(each)) for each in problems]


def set_policies(app: App[Any], policies: Mapping[str, Sequence[Policy]], settings: Settings | None = None) -> None:
    """Set the policies of pipelines: all of them, or none.

    :param settings: the settings of the policies, by default the loaded ones
    :raises SettingsError: policies do not fit a function of their pipeline; nothing has changed
    """
    for commit in prepared(app, policies, settings):
        commit()


def prepared(
    app: App[Any], policies: Mapping[str, Sequence[Policy]], settings: Settings | None = None
) -> Sequence[Callable[[], None]]:
    """Return functions that set the policies of pipelines, after checking all.

    :raises SettingsError: policies do not fit a function of their pipeline
    """
    problems: list[SettingsProblem] = []
    commits: list[Callable[[], None]] = []
    of_all = {name: pipeline.policies for name, pipeline in app.pipelines.items()} | dict(policies)
    contradicting = [SettingsProblem(f"pipelines.{name}.policies", words) for name, words in contradictions(of_all)]
    for name, wanted in policies.items():
        try:
            commits.append(runtime_of(app.pipelines[name]).prepare(wanted))
        except ContradictionError as error:
            if not contradicting:  # they say it with the place of the other policy
                problems.append(SettingsProblem(f"pipelines.{name}.policies", str(error)))
        except ValueError as error:
            problems.append(SettingsProblem(f"pipelines.{name}.policies", str(error)))
    problems += contradicting
    if problems:
        raise SettingsError(located(problems, internals_of(app).settings.loaded if settings is None else settings))
    return commits


def bind(app: App[Any], pipeline: Pipeline) -> None:
    """Bind a pipeline to clock, metrics and plugins of its App."""
    internals = internals_of(app)
    life = internals.life
    if not life.limiters and any(isinstance(each, RateLimit) and each.shared for each in pipeline.policies):
        _log.warning(
            "pipeline %s: its rate limit is shared=True, and no plugin shares limits: each process keeps its own",
            pipeline.name,
        )
    runtime_of(pipeline).bind(
        owner=app,
        clock=app.clock,
        registry=app.registry,
        observers=app.observers,
        tiers=life.tiers,
        limiters=life.limiters,
        events=app.events,
        errors=app.errors,
        chaos=internals.settings.own.chaos.allowed,
        background=life.background,
    )
