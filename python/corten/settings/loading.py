"""Loading settings: file < ``.env`` < environment < secrets folder < arguments, then types, all problems at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from corten.errors import SettingsError, SettingsProblem
from corten.secrets import Secret
from corten.settings.convert import BAD, Converter
from corten.settings.dotenv import read_dotenv
from corten.settings.effective import Effective, effective
from corten.settings.names import PREFIX, fold, is_tabular, locate, nearest, variables
from corten.settings.section import Section
from corten.settings.tree import Leaf, Node, Origin, Table, dotted, grow, put, shown_path
from corten.settings.types import aliases

DEFAULT: Final = "default"
"""The name of the instance that is the plain table."""

_Place: TypeAlias = tuple[tuple[str, ...], Any]

_NOWHERE: Final = Origin(where=lambda _path: "")
# Read by the command line before there are settings.
_RESERVED: Final = frozenset({"CORTEN_CONFIG"})
_OF_PLUGINS: Final = ("postgres", "redis", "kafka", "health", "tracing", "ops")


class Sourced(msgspec.Struct, frozen=True):
    """An argument that says where it came from, such as a dev service."""

    value: object
    source: str


class Settings:
    """What was loaded: typed sections, with the source of each value."""

    def __init__(
        self,
        sections: Sequence[Section],
        active: Mapping[str, Mapping[str, msgspec.Struct]],
        tree: Table,
        warnings: Sequence[str],
    ) -> None:
        self._sections = {section.name: section for section in sections}
        self._active = active
        self._tree = tree
        self.warnings: tuple[str, ...] = tuple(warnings)
        """What is not wrong but is worth a look, such as variables that nobody reads."""

    def section(self, name: str) -> Mapping[str, msgspec.Struct]:
        """The active instances of a section by name; the plain table is ``default``.

        :raises KeyError: no such section was asked for when the settings were loaded
        """
        try:
            return self._active[name]
        except KeyError:
            known = ", ".join(sorted(filter(None, self._active)))
            raise KeyError(f"no section {name!r} among the settings: {known}") from None

    def is_active(self, name: str) -> bool:
        """Whether a section has an active instance."""
        return bool(self.section(name))

    def effective(self) -> Sequence[Effective]:
        """Each setting with its value and source, in the order of the sections; secrets hidden."""
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


def load(
    sections: Sequence[Section],
    *,
    file: Path | None,
    environ: Mapping[str, str],
    secrets: Path | None = None,
    arguments: Mapping[str, object] | None = None,
    dotenv: Path | Literal["beside"] | None = "beside",
    ignore_unknown: bool = False,
) -> Settings:
    """Read and check the settings of some sections.

    :param sections: whose settings; the section named ``""`` owns keys at the top of the file
    :param file: the TOML file
    :param environ: the environment, of which names of fields (``CORTEN_POSTGRES__MAX_SIZE``) and aliases are read
    :param secrets: a folder with a file for each secret, named like ``postgres__password`` or as in the environment;
        it need not exist
    :param arguments: dotted paths with their values, or tables of them; they win over all else
    :param dotenv: the ``.env`` file, which need not exist; by default the one beside ``file``
    :param ignore_unknown: leave out keys and variables that nobody asked for, to look at a few sections before the rest
    :raises SettingsError: with every problem there is
    """
    problems: list[SettingsProblem] = []
    warnings: list[str] = []
    loader = _Loader(sections, problems, warnings, ignore_unknown)
    unreadable = False
    if file is not None:
        from corten.settings.toml import read_toml  # tomllib compiles patterns when imported

        document = read_toml(file, problems)
        if document is not None:
            loader.root = document
        unreadable = document is None
    env_file = (file.parent if file is not None else Path()) / ".env" if dotenv == "beside" else dotenv
    if env_file is not None:
        read = read_dotenv(env_file, problems)
        shown = shown_path(env_file)
        values = {name: value for name, (value, _line) in read.items()}
        loader.variables(values, lambda name: f"{shown}:{read[name][1]} {name}", strict=True)
    loader.variables(environ, lambda name: f"environment {name}")
    if secrets is not None:
        loader.folder(secrets)
    loader.arguments(arguments or {})
    active = loader.convert(missing=not unreadable)
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return Settings(sections, active, loader.root, warnings)


class _Loader:
    def __init__(
        self,
        sections: Sequence[Section],
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
        self.root = Table({}, _NOWHERE)
        self.aliases = self.find_aliases()

    # -- sources

    def locate(self, parts: tuple[str, ...]) -> _Place | None:
        """The path of the settings that the parts of a name spell, and the type there."""
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
    def variables_of(section: Section) -> Iterable[str]:
        return variables(section.type, (section.name,) if section.name else ())

    def find_aliases(self) -> dict[str, _Place]:
        """The names from elsewhere with what they set; a name that two settings claim sets the first."""
        found: dict[str, _Place] = {}
        for section in self.sections.values():
            declared = [*aliases(section.type), *((name, tuple(at.split("."))) for name, at in section.aliases.items())]
            for name, steps in declared:
                path, type_ = locate(section.type, steps) or (steps, Any)
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
        for path, value in arguments.items():
            source = value.source if isinstance(value, Sourced) else "arguments"
            plain = value.value if isinstance(value, Sourced) else value
            origin = Origin(_always(source), text=True, strict=True)
            put(self.root, tuple(path.split(".")), grow(plain, origin))

    # -- types

    def convert(self, missing: bool) -> dict[str, dict[str, msgspec.Struct]]:
        converter = Converter(missing=missing, unknown=not self.ignore_unknown)
        active: dict[str, dict[str, msgspec.Struct]] = {}
        for section in self.sections.values():
            if section.name:
                active[section.name] = self.section(section, converter)
            else:
                others = frozenset(self.root.items) - {
                    field.encode_name for field in msgspec.structs.fields(section.type)
                }
                value = converter.struct(section.type, self.root, (), skip=others)
                active[""] = {} if value is BAD else {DEFAULT: value}
        if not self.ignore_unknown:
            self.unknown_sections()
        self.problems += converter.problems
        return active

    def unknown_sections(self) -> None:
        top = self.sections.get("")
        known = [section.name for section in self.sections.values() if section.name]
        known += [field.encode_name for field in msgspec.structs.fields(top.type)] if top is not None else []
        for name, node in self.root.items.items():
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
            self.problems.append(SettingsProblem(name, f"unknown {kind}", expected, node.origin.where((name,))))

    def section(self, section: Section, converter: Converter) -> dict[str, msgspec.Struct]:
        """The active instances of one section."""
        node = self.opened(section, converter)
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
            switched_on = self.is_active(section, table)
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
                self.warnings.append(f"[{dotted(path)}] ({where}) sets no {names}, so it is not active")
        return made

    @staticmethod
    def is_active(section: Section, table: Table) -> bool:
        if not section.activated_by:
            return True
        held = (table.items.get(field) for field in section.activated_by)
        return any(node is not None and not (isinstance(node, Leaf) and _is_blank(node.value)) for node in held)

    def opened(self, section: Section, converter: Converter) -> Table | None:
        """The section's table, empty where no source has one; None where it is something else, which is a problem."""
        node = self.root.items.get(section.name)
        if isinstance(node, Leaf):
            converter.convert(section.type, node, (section.name,))
            return None
        return Table({}, _NOWHERE) if node is None else node


def _sets_any(section: Section, table: Table | None) -> bool:
    own = {field.encode_name for field in msgspec.structs.fields(section.type)}
    return table is not None and not own.isdisjoint(table.items)


def _always(source: str) -> Callable[[object], str]:
    return lambda _path: source


def _from_text(text: str | bytes, type_: Any, origin: Origin) -> Node:
    """The node of a variable's text: where it holds a table as JSON, one that merges with what other sources say."""
    if text[:1] in ("{", b"{") and is_tabular(type_):
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return Leaf(text, origin)
        # JSON has types of its own, so what is inside is no longer to be read as text.
        return grow(value, msgspec.structs.replace(origin, text=False))
    return Leaf(text, origin)


def _is_blank(value: object) -> bool:
    if isinstance(value, Secret):
        return not value
    return value is None or (isinstance(value, (str, bytes)) and not value.strip())
