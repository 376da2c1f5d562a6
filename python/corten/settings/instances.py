"""Finds the instances of each section, the active ones, and unknown sections."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from corten.errors import SettingsProblem
from corten.secrets import Secret
from corten.settings.reading.sources import Sources
from corten.settings.reading.tree import NOWHERE, Leaf, Table, dotted
from corten.settings.section import DEFAULT, Section
from corten.settings.types.convert import BAD, Converter
from corten.spelling import nearest

_OF_PLUGINS: Final = ("postgres", "redis", "kafka", "health", "tracing", "ops")


class Instances:
    """Makes the instances of each section; problems go to the sources' list."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def convert(self, missing: bool) -> dict[str, dict[str, msgspec.Struct]]:
        """The active instances of each section, by name.

        :param missing: whether a missing required value is a problem
        """
        converter = Converter(missing=missing, unknown=not self._sources.ignore_unknown)
        active: dict[str, dict[str, msgspec.Struct]] = {}
        for section in self._sources.sections.values():
            if section.name:
                active[section.name] = self._section(section, converter)
            else:
                others = frozenset(self._sources.root.items) - {
                    field.encode_name for field in msgspec.structs.fields(section.type)
                }
                value = converter.struct(section.type, self._sources.root, (), skip=others)
                active[""] = {} if value is BAD else {DEFAULT: value}
        if not self._sources.ignore_unknown:
            self._unknown_sections()
        self._sources.problems += converter.problems
        return active

    def _unknown_sections(self) -> None:
        top = self._sources.sections.get("")
        known = [section.name for section in self._sources.sections.values() if section.name]
        known += [field.encode_name for field in msgspec.structs.fields(top.type)] if top is not None else []
        for name, node in self._sources.root.items.items():
            if name in known:
                continue
            close = nearest(name, known)
            if close is not None:
                expected = f'"{close}"'
            elif name in _OF_PLUGINS:
                expected = f"its plugin, which is not loaded: pip install 'corten[{name}]'"
            else:
                expected = f"one of {', '.join(sorted(known))}; sections of plugins are known when these are loaded"
            kind = "section" if isinstance(node, Table) else "key"
            self._sources.problems.append(
                SettingsProblem(name, f"unknown {kind}", expected, node.origin.where((name,)))
            )

    def _section(self, section: Section[Any], converter: Converter) -> dict[str, msgspec.Struct]:
        """The active instances of one section."""
        node = self._opened(section, converter)
        if node is None:
            return {}
        own = {field.encode_name for field in msgspec.structs.fields(section.type)}
        instances: dict[str, Table] = {DEFAULT: node}
        if section.instances:
            instances |= {
                key: inner
                for key, inner in node.items.items()
                if isinstance(inner, Table) and key not in own and key != DEFAULT
            }
        made: dict[str, msgspec.Struct] = {}
        for name, table in instances.items():
            others = frozenset(instances) - {DEFAULT} if name == DEFAULT else frozenset[str]()
            path = (section.name,) if name == DEFAULT else (section.name, name)
            switched_on = self._is_active(section, table)
            before = len(converter.problems)
            value = converter.struct(section.type, table, path, skip=others)
            if switched_on:
                if value is not BAD:
                    made[name] = value
                continue
            # What is missing from an instance that nobody switched on is no problem; what is wrong in it is.
            converter.problems[before:] = [each for each in converter.problems[before:] if each.message != "missing"]
            if table.items.keys() - others:
                names = " or ".join(section.activated_by)
                where = table.origin.where(path)
                self._sources.warnings.append(f"[{dotted(path)}] ({where}) sets no {names}, so it is not active")
        return made

    @staticmethod
    def _is_active(section: Section[Any], table: Table) -> bool:
        if not section.activated_by:
            return True
        held = (table.items.get(field) for field in section.activated_by)
        return any(node is not None and not (isinstance(node, Leaf) and _is_blank(node.value)) for node in held)

    def _opened(self, section: Section[Any], converter: Converter) -> Table | None:
        """Return the section's table, empty without a source; report anything else and return None."""
        node = self._sources.root.items.get(section.name)
        if isinstance(node, Leaf):
            converter.convert(section.type, node, (section.name,))
            return None
        return Table({}, NOWHERE) if node is None else node


def _is_blank(value: object) -> bool:
    if isinstance(value, Secret):
        return not value
    return value is None or (isinstance(value, (str, bytes)) and not value.strip())
