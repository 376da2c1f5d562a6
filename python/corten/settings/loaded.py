"""Loaded settings: typed sections, with the source of each value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar, overload

import msgspec

from corten.settings.display.effective import Effective, effective
from corten.settings.reading.tree import Node, Table
from corten.settings.section import DEFAULT, Section

T = TypeVar("T", bound=msgspec.Struct)


class Settings:
    """Loaded settings: typed sections, with the source of each value."""

    def __init__(
        self,
        sections: Sequence[Section[Any]],
        active: Mapping[str, Mapping[str, msgspec.Struct]],
        tree: Table,
        warnings: Sequence[str],
    ) -> None:
        self._sections = {section.name: section for section in sections}
        self._active = active
        self._tree = tree
        self.warnings: tuple[str, ...] = tuple(warnings)
        """Warnings, such as variables that no setting reads."""

    @overload
    def section(self, section: Section[T]) -> Mapping[str, T]: ...
    @overload
    def section(self, section: str) -> Mapping[str, msgspec.Struct]: ...

    def section(self, section: Section[Any] | str) -> Mapping[str, Any]:
        """Return the active instances of a section; the section's own table is ``default``.

        :param section: a section, whose instances have its type, or the name of one
        :raises KeyError: the section is not among the settings that were loaded
        """
        name = section if isinstance(section, str) else section.name
        try:
            return self._active[name]
        except KeyError:
            known = ", ".join(sorted(filter(None, self._active)))
            raise KeyError(f"no section {name!r} among the settings: {known}") from None

    @property
    def sections(self) -> Sequence[str]:
        """The names of the sections; the section of keys at the top of the file has an empty name."""
        return tuple(self._sections)

    def taking(self, later: Settings, names: Collection[str]) -> Settings:
        """Return these settings with some sections, or keys at the top, taken from later ones.

        :param names: names of sections, and of keys at the top of the file
        """
        active = dict(self._active)
        items = dict(self._tree.items)
        for name in names:
            if name in active:
                active[name] = later.section(name)
            else:
                top, theirs = active[""][DEFAULT], later.section("")[DEFAULT]
                changed = msgspec.structs.replace(top, **{name: getattr(theirs, name)})
                active[""] = {**active[""], DEFAULT: changed}
            items.pop(name, None)
            if (node := later._tree.items.get(name)) is not None:
                items[name] = node
        sections = tuple(self._sections.values())
        return Settings(sections, active, Table(items, self._tree.origin), later.warnings)

    def is_active(self, name: str) -> bool:
        """Whether a section has an active instance."""
        return bool(self.section(name))

    def effective(self) -> Sequence[Effective]:
        """Return each setting with its value and source, without secrets, in the order of the sections."""
        found: list[Effective] = []
        for name, instances in self._active.items():
            table = self._table_of(name)
            section = self._sections[name]
            for instance, struct in instances.items():
                path: tuple[str, ...] = (name,) if name else ()
                node: Node | None = table
                if instance == DEFAULT and section.instances and not _sets_any(section, table):
                    continue  # there are named ones only
                if instance != DEFAULT:
                    path = (*path, instance)
                    node = table.items.get(instance) if table is not None else None
                found += effective(section.type, struct, node, path)
        return found

    def _table_of(self, name: str) -> Table | None:
        node = self._tree.items.get(name) if name else self._tree
        return node if isinstance(node, Table) else None

    def __repr__(self) -> str:
        return f"<Settings: {', '.join(name or 'corten' for name, held in self._active.items() if held)}>"


def _sets_any(section: Section[Any], table: Table | None) -> bool:
    own = {field.encode_name for field in msgspec.structs.fields(section.type)}
    return table is not None and not own.isdisjoint(table.items)
