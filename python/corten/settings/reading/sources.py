"""The sources of settings: environment variables, secret files and arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from corten.errors import SettingsProblem
from corten.settings.reading.env_names import PREFIX, is_tabular, locate, variables
from corten.settings.reading.tree import NOWHERE, Leaf, Node, Origin, Table, dotted, grow, put
from corten.settings.section import Section
from corten.settings.types.schema import aliases
from corten.spelling import fold, nearest

_Place: TypeAlias = tuple[tuple[str, ...], Any]

# Read by the command line before there are settings.
_RESERVED: Final = frozenset({"CORTEN_CONFIG"})


class Sourced(msgspec.Struct, frozen=True):
    """An argument with its source, such as a dev service."""

    value: object
    source: str


class Sources:
    """The tree that all sources make together, each over those before it."""

    def __init__(
        self,
        sections: Sequence[Section[Any]],
        problems: list[SettingsProblem],
        warnings: list[str],
        ignore_unknown: bool,
    ) -> None:
        self.sections = {fold(section.name): section for section in sections}
        if len(self.sections) != len(sections):
            raise ValueError(f"two sections with one name among {', '.join(section.name for section in sections)}")
        self.problems = problems
        self.warnings = warnings
        self.ignore_unknown = ignore_unknown
        self.root = Table({}, NOWHERE)
        self.aliases = self.find_aliases()

    def locate(self, parts: tuple[str, ...]) -> _Place | None:
        """Return the path of settings that the parts of a name spell, and the type there."""
        section = self.sections.get(fold(parts[0]))
        if section is not None:
            present = self.root.items.get(section.name)
            found = locate(section.type, parts[1:], present)
            if found is not None:
                return (section.name, *found[0]), found[1]
            if section.instances and len(parts) > 2 and parts[1]:
                inner = present.items if isinstance(present, Table) else {}
                instance = next((each for each in inner if fold(each) == fold(parts[1])), parts[1].lower())
                found = locate(section.type, parts[2:], inner.get(instance))
                if found is not None:
                    return (section.name, instance, *found[0]), found[1]
        top = self.sections.get("")
        return None if top is None else locate(top.type, parts, self.root)

    def variables(self, values: Mapping[str, str], where: Callable[[str], str], strict: bool = False) -> None:
        """Names of the environment, or of a file of such names."""
        found: dict[str, _Place] = {}
        unknown: list[str] = []
        aliases = self.aliases
        for name in values:
            if name in aliases:
                # Compose files write `REDIS_URL: ${REDIS_URL:-}` for "none": somebody else's empty name sets nothing.
                if values[name]:
                    found[name] = aliases[name]
            elif name.upper().startswith(PREFIX) and name.upper() not in _RESERVED:
                place = self.locate(tuple(name[len(PREFIX) :].split("__")))
                if place is None:
                    unknown.append(name)
                else:
                    found[name] = place
        # Aliases first, for the setting's own name is the more particular one; tables before what is in them.
        order = sorted(found, key=lambda name: (name not in aliases, len(found[name][0]), name))
        by_path: dict[tuple[str, ...], str] = {}
        for name in order:
            path, type_ = found[name]
            origin = Origin(where=_always(where(name)), text=True)
            put(self.root, path, _from_text(values[name], type_, origin))
            other = by_path.setdefault(path, name)
            if values[other] != values[name]:
                self.warnings.append(f"{where(other)} and {where(name)} both set {dotted(path)}; the latter holds")
        if unknown and not self.ignore_unknown:
            self.unknown_variables(unknown, where, strict)

    def unknown_variables(self, names: Iterable[str], where: Callable[[str], str], strict: bool) -> None:
        """Report unknown names: as problems if ``strict``, otherwise as warnings."""
        known = [name for section in self.sections.values() for name in self.variables_of(section)]
        for name in names:
            # Anybody may have put it there: it is shown in logs and on terminals.
            shown = name if name.isprintable() else ascii(name)[1:-1]
            # The prefix that all share would make everything look near.
            short = nearest(name[len(PREFIX) :], (each[len(PREFIX) :] for each in known))
            close = short and f"{PREFIX}{short}"
            if strict:
                expected = close or f"{PREFIX}SECTION__FIELD of a known section"
                self.problems.append(SettingsProblem(shown, "unknown setting", expected, where(name)))
            else:
                hint = f"; was {close} meant?" if close else ""
                self.warnings.append(f"{where(name).replace(name, shown)} is not a setting of this app{hint}")

    @staticmethod
    def variables_of(section: Section[Any]) -> Iterable[str]:
        """All names that a section's fields have in the environment."""
        return variables(section.type, (section.name,) if section.name else ())

    def find_aliases(self) -> dict[str, _Place]:
        """Return the aliases with the settings they set; an alias of two settings sets the first."""
        found: dict[str, _Place] = {}
        for section in self.sections.values():
            struct: Any = section.type
            declared = [*aliases(struct), *((name, tuple(at.split("."))) for name, at in section.aliases.items())]
            for name, steps in declared:
                path, type_ = locate(struct, steps) or (steps, Any)
                place = ((section.name, *path) if section.name else path, type_)
                first = found.setdefault(name, place)
                if first[0] != place[0]:
                    self.warnings.append(
                        f"{name} is claimed by {dotted(first[0])} and {dotted(place[0])}; it sets the first"
                    )
        return found

    def folder(self, folder: Path) -> None:
        """A folder with one file for each secret, as orchestrators mount them."""
        try:
            files = sorted(file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())
        except FileNotFoundError:
            return
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            self.problems.append(SettingsProblem(str(folder), message, "a readable folder", str(folder)))
            return
        aliases = self.aliases
        for file in files:
            prefixed = file.name.upper().startswith(PREFIX)
            name = file.name[len(PREFIX) :] if prefixed else file.name
            place = aliases.get(file.name)
            if place is None and (prefixed or "__" in name):
                place = self.locate(tuple(name.split("__")))
            source = f"secret {file}"
            if place is None:
                if prefixed and not self.ignore_unknown:
                    self.warnings.append(f"{source} is not a setting of this app")
                continue
            path, type_ = place
            try:
                content = file.read_bytes()
            except OSError as error:
                message = f"cannot be read: {error.strerror}"
                self.problems.append(SettingsProblem(dotted(path), message, "a readable file", source))
                continue
            content = content.removesuffix(b"\n").removesuffix(b"\r")
            origin = Origin(_always(source), text=True, hidden=True)
            put(self.root, path, _from_text(content, type_, origin))

    def arguments(self, arguments: Mapping[str, object]) -> None:
        """Dotted paths with their values, which win over everything before."""
        for path, value in arguments.items():
            source = value.source if isinstance(value, Sourced) else "arguments"
            plain = value.value if isinstance(value, Sourced) else value
            origin = Origin(_always(source), text=True, strict=True)
            put(self.root, tuple(path.split(".")), grow(plain, origin))


def _always(source: str) -> Callable[[object], str]:
    return lambda _path: source


def _from_text(text: str | bytes, type_: Any, origin: Origin) -> Node:
    """Return the node of a variable's text; a table as JSON merges with other sources."""
    if text[:1] in ("{", b"{") and is_tabular(type_):
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return Leaf(text, origin)
        # JSON has types of its own, so what is inside is no longer to be read as text.
        return grow(value, msgspec.structs.replace(origin, text=False))
    return Leaf(text, origin)
