"""Converts raw settings to typed ones, leaf by leaf, so that every problem is found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from corten.errors import SettingsProblem
from corten.secrets import HIDDEN, Secret
from corten.settings.display.masking import is_utf8, secrets_in, show
from corten.settings.reading.env_names import variable
from corten.settings.reading.tree import Leaf, Node, Path, Table, dotted, grow
from corten.settings.types.coerce import SCALARS, TEXT_KINDS, Mismatch, converted, fitted, native, text_order
from corten.settings.types.schema import Shape, describe, fields, holds_secret, is_class, shapes, tag_of
from corten.spelling import nearest

BAD: Final = object()
"""Instead of a value that could not be made; the problem has been noted."""


class Converter:
    """Makes typed values from nodes, and collects ``problems``."""

    def __init__(self, *, missing: bool = True, unknown: bool = True) -> None:
        self.problems: list[SettingsProblem] = []
        self._missing = missing
        self._reports_unknown = unknown

    def convert(self, type_: Any, node: Node, path: Path) -> Any:
        """The value of the type, or :data:`BAD`."""
        if isinstance(node, Table):
            return self._table(type_, node, path)
        value, text = node.value, node.origin.text
        if text and isinstance(value, bytes):
            try:
                value = value.decode()
            except UnicodeDecodeError:
                if not holds_secret(type_):
                    return self._wrong(type_, node, path, "not UTF-8")
        if text and isinstance(value, str):
            # What in the environment is not UTF-8 comes as lone surrogates, which nothing can encode again.
            return (
                self._text(type_, value, node, path) if is_utf8(value) else self._wrong(type_, node, path, "not UTF-8")
            )
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            return self._list(type_, list(cast("Sequence[object]", value)), node, path)
        return self._scalar(type_, value, node, path)

    def struct(self, type_: Any, table: Table, path: Path, skip: frozenset[str] = frozenset()) -> Any:
        """Make the struct of a table, or :data:`BAD`; ignore the keys in ``skip``."""
        known = {field.encode_name: field for field in fields(type_)}
        tag = tag_of(type_)
        arguments: dict[str, Any] = {}
        bad = False
        for key, node in table.items.items():
            if key in skip or (tag is not None and key == tag[0]):
                continue
            field = known.get(key)
            if field is None:
                if not self._reports_unknown:
                    continue
                bad = True
                self._unknown(type_, key, known, node, (*path, key))
                continue
            value = self.convert(field.type, node, (*path, key))
            bad = bad or value is BAD
            arguments[field.name] = value
        for key, field in known.items():
            if field.required and key not in table.items:
                bad = True
                self._report_missing(field.type, (*path, key), table)
        return BAD if bad else self._made(type_, arguments, table, path)

    def _report_missing(self, type_: Any, path: Path, table: Table) -> None:
        if self._missing:
            source = table.origin.where(path) if table.items else ""
            expected = describe(type_)
            names = [step for step in path if isinstance(step, str)]
            if len(names) == len(path):
                expected += f", there or as {variable(names)}"
            self.problems.append(SettingsProblem(dotted(path), "missing", expected, source))

    def _unknown(self, type_: Any, key: str, known: dict[str, Any], node: Node, path: Path) -> None:
        renamed = getattr(type_, "renamed_fields", {}).get(key)
        close = renamed or nearest(key, known)
        if close is not None:
            expected = f'"{close}"'
        else:
            expected = "one of " + ", ".join(sorted(known)) if known else "no keys here"
        message = "unknown key" if renamed is None else "this key was renamed"
        self.problems.append(SettingsProblem(dotted(path), message, expected, node.origin.where(path)))

    def _made(self, type_: Any, arguments: dict[str, Any], table: Table, path: Path) -> Any:
        try:
            return type_(**arguments)
        except (ValueError, TypeError) as error:
            # The author's own words in __post_init__; they may quote what they complain of.
            message = str(error)
            for secret in secrets_in(arguments):
                # A short one is part of other words: "x" is not the secret in "max_size".
                pattern = re.escape(secret) if len(secret) > 4 else rf"(?<!\w){re.escape(secret)}(?!\w)"
                message = re.sub(pattern, HIDDEN, message) if secret else message
            self.problems.append(SettingsProblem(dotted(path), message, source=table.origin.where(path)))
            return BAD

    def _table(self, type_: Any, table: Table, path: Path) -> Any:
        alternatives = shapes(type_)
        structs = [shape for shape in alternatives if shape.kind == "struct"]
        tagged = [shape for shape in structs if tag_of(shape.bare) is not None]
        if len(structs) > 1 and tagged:
            return self._tagged(tagged, table, path)
        if structs:
            if tagged and self._tag_is_wrong(tagged, table, path):
                return BAD
            return self.struct(structs[0].bare, table, path)
        for shape in alternatives:
            if shape.kind == "mapping":
                values = {key: self.convert(shape.inner[0], node, (*path, key)) for key, node in table.items.items()}
                return (
                    BAD if any(value is BAD for value in values.values()) else self._plain(shape, values, table, path)
                )
        for shape in alternatives:
            if shape.kind == "scalar" and not (is_class(shape.bare, object) and shape.bare in SCALARS):
                # Any, dataclasses, typed dicts: msgspec knows them, and tells the first problem only.
                return self._plain(shape, _ungrown(table), table, path)
        return self._wrong(type_, table, path)

    def _tagged(self, tagged: list[Shape], table: Table, path: Path) -> Any:
        for shape in tagged:
            tag = tag_of(shape.bare)
            node = table.items.get(tag[0]) if tag is not None else None
            if tag is not None and isinstance(node, Leaf) and node.value == tag[1]:
                return self.struct(shape.bare, table, path)
        self._tag_is_wrong(tagged, table, path)
        return BAD

    def _tag_is_wrong(self, tagged: list[Shape], table: Table, path: Path) -> bool:
        tags = [tag for shape in tagged if (tag := tag_of(shape.bare)) is not None]
        name, words = tags[0][0], [word for _, word in tags]
        node = table.items.get(name)
        if isinstance(node, Leaf) and node.value in words:
            return False
        # A single struct that carries a tag may be written without it.
        if node is None and len(words) == 1:
            return False
        written = str(node.value) if isinstance(node, Leaf) else ""
        renamed = next((shape for shape in tagged if written in getattr(shape.bare, "former_tags", ())), None)
        close: object = nearest(written, [str(word) for word in words]) if written else None
        if renamed is not None:
            _, close = tag_of(renamed.bare) or ("", None)
        expected = f'"{close}"' if close else "one of " + ", ".join(f'"{word}"' for word in words)
        origin = table.origin if node is None else node.origin
        shown = show(node, str, (*path, name)) if node is not None else ""
        message = "missing" if node is None else "unknown kind" if renamed is None else "this kind was renamed"
        self.problems.append(
            SettingsProblem(dotted((*path, name)), message, expected, origin.where((*path, name)), shown)
        )
        return True

    def _list(self, type_: Any, values: list[Any], leaf: Leaf, path: Path) -> Any:
        for shape in shapes(type_):
            if shape.kind == "list":
                if shape.fixed and len(shape.inner) != len(values):
                    return self._wrong(type_, leaf, path)
                inner = shape.inner if shape.fixed else shape.inner * len(values)
                made = [
                    self.convert(each, grow(value, leaf.origin), (*path, index))
                    for index, (each, value) in enumerate(zip(inner, values, strict=True))
                ]
                return BAD if any(value is BAD for value in made) else self._plain(shape, made, leaf, path)
        return self._scalar(type_, values, leaf, path)

    def _scalar(self, type_: Any, value: Any, leaf: Leaf, path: Path) -> Any:
        unfit: list[Mismatch] = []
        for shape in shapes(type_):
            try:
                return fitted(shape, value, strict=True)
            except Mismatch as error:
                unfit.append(error)
        return self._wrong(type_, leaf, path, unfit[0].message if len(unfit) == 1 else "wrong value")

    def _text(self, type_: Any, text: str, leaf: Leaf, path: Path) -> Any:
        alternatives = shapes(type_)
        scalars = sorted((shape for shape in alternatives if shape.kind in TEXT_KINDS), key=text_order)
        unfit: list[Mismatch] = []
        if not (text.strip() == "" and any(shape.bare in (str, Secret) for shape in scalars)):
            if text.strip() == "" and any(shape.kind == "none" for shape in alternatives):
                return None
            containers = [shape for shape in alternatives if shape.kind in {"list", "mapping", "struct"}]
            if containers and (not scalars or text.lstrip()[:1] in {"[", "{"}):
                return self._container(type_, containers, text, leaf, path)
        for shape in scalars:
            try:
                return fitted(shape, native(shape, text), strict=False)
            except Mismatch as error:
                unfit.append(error)
        lists = [shape for shape in alternatives if shape.kind in {"list", "mapping"}]
        if lists:
            return self._container(type_, lists, text, leaf, path)
        return self._wrong(type_, leaf, path, unfit[0].message if len(unfit) == 1 else "wrong value")

    def _container(self, type_: Any, containers: list[Shape], text: str, leaf: Leaf, path: Path) -> Any:
        """A list or table written as JSON, or as ``a,b`` and ``a=1,b=2``."""
        kinds = {shape.kind for shape in containers}
        if text.lstrip()[:1] in {"[", "{"}:
            import json

            try:
                value = json.loads(text)
            except (json.JSONDecodeError, RecursionError):
                return self._wrong(type_, leaf, path, "not valid JSON")
            # JSON has types of its own, so what is inside is no longer to be read as text.
            origin = msgspec.structs.replace(leaf.origin, text=False)
            return self.convert(type_, grow(value, origin), path)
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if "list" in kinds:
            return self._list(type_, parts, leaf, path)
        if "mapping" in kinds and all("=" in part for part in parts):
            pairs = dict(part.split("=", 1) for part in parts)
            return self.convert(type_, grow(pairs, leaf.origin), path)
        return self._wrong(type_, leaf, path)

    def _plain(self, shape: Shape, value: Any, node: Node, path: Path) -> Any:
        """Convert a whole list, mapping or foreign type by msgspec."""
        try:
            return converted(value, shape.type, strict=True)
        except msgspec.ValidationError as error:
            where, _, below = str(error).partition(" - at `$")
            at = dotted(path) + below.removesuffix("`")
            expected = describe(shape.type) if not below else where.removeprefix("Expected ").replace("`", "")
            message = "wrong length" if "length" in where else "wrong value"
            source = node.origin.where(path)
            self.problems.append(SettingsProblem(at, message, expected, source, show(node, shape.type, path)))
            return BAD

    def _wrong(self, type_: Any, node: Node, path: Path, message: str = "wrong value") -> Any:
        shown = show(node, type_, path)
        self.problems.append(SettingsProblem(dotted(path), message, describe(type_), node.origin.where(path), shown))
        return BAD


def _ungrown(node: Node) -> Any:
    return {key: _ungrown(inner) for key, inner in node.items.items()} if isinstance(node, Table) else node.value
