"""From raw settings to typed ones, leaf by leaf, so that every problem is found and not the first alone."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final, Literal, cast, get_args, get_origin

import msgspec

from corten.errors import SettingsProblem
from corten.secrets import HIDDEN, Secret, is_sensitive, redact_url
from corten.secrets import dec_hook as secret_dec_hook
from corten.settings.names import nearest, variable
from corten.settings.quantities import parse_duration, parse_rate, parse_size
from corten.settings.tree import Leaf, Node, Path, Table, dotted, grow
from corten.settings.types import Shape, describe, fields, holds_secret, is_class, shapes, tag_of

BAD: Final = object()
"""Instead of a value that could not be made; the problem has been noted."""

TRUE: Final = frozenset({"true", "yes", "on", "1"})
FALSE: Final = frozenset({"false", "no", "off", "0"})
_LONGEST_SHOWN: Final = 80


class _Unfit(Exception):
    """One alternative of a type does not take the value."""

    def __init__(self, message: str = "wrong value", expected: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected


class Converter:
    """Makes values of types from nodes; what is wrong is collected in ``problems``."""

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
                self._text(type_, value, node, path) if _is_utf8(value) else self._wrong(type_, node, path, "not UTF-8")
            )
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            return self._list(type_, list(cast("Sequence[object]", value)), node, path)
        return self._scalar(type_, value, node, path)

    def struct(self, type_: Any, table: Table, path: Path, skip: frozenset[str] = frozenset()) -> Any:
        """The struct of a table, or :data:`BAD`; keys in ``skip`` are somebody else's."""
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
                self._unknown(key, known, node, (*path, key))
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

    def _unknown(self, key: str, known: dict[str, Any], node: Node, path: Path) -> None:
        close = nearest(key, known)
        if close is not None:
            expected = f'"{close}"'
        else:
            expected = "one of " + ", ".join(sorted(known)) if known else "no keys here"
        self.problems.append(SettingsProblem(dotted(path), "unknown key", expected, node.origin.where(path)))

    def _made(self, type_: Any, arguments: dict[str, Any], table: Table, path: Path) -> Any:
        try:
            return type_(**arguments)
        except (ValueError, TypeError) as error:
            # The author's own words in __post_init__; they may quote what they complain of.
            message = str(error)
            for secret in _secrets_in(arguments):
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
            if shape.kind == "scalar" and not (is_class(shape.bare, object) and shape.bare in _SCALARS):
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
        close = nearest(str(node.value), [str(word) for word in words]) if isinstance(node, Leaf) else None
        expected = f'"{close}"' if close else "one of " + ", ".join(f'"{word}"' for word in words)
        origin = table.origin if node is None else node.origin
        shown = show(node, str, (*path, name)) if node is not None else ""
        message = "missing" if node is None else "unknown kind"
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
        unfit: list[_Unfit] = []
        for shape in shapes(type_):
            try:
                return _fitted(shape, value, strict=True)
            except _Unfit as error:
                unfit.append(error)
        return self._wrong(type_, leaf, path, unfit[0].message if len(unfit) == 1 else "wrong value")

    def _text(self, type_: Any, text: str, leaf: Leaf, path: Path) -> Any:
        alternatives = shapes(type_)
        scalars = sorted((shape for shape in alternatives if shape.kind in _TEXT_ORDER), key=_text_order)
        unfit: list[_Unfit] = []
        if not (text.strip() == "" and any(shape.bare in (str, Secret) for shape in scalars)):
            if text.strip() == "" and any(shape.kind == "none" for shape in alternatives):
                return None
            containers = [shape for shape in alternatives if shape.kind in {"list", "mapping", "struct"}]
            if containers and (not scalars or text.lstrip()[:1] in {"[", "{"}):
                return self._container(type_, containers, text, leaf, path)
        for shape in scalars:
            try:
                return _fitted(shape, _native(shape, text), strict=False)
            except _Unfit as error:
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
        """What msgspec makes of a whole list, mapping or foreign type whose contents are right."""
        try:
            return _converted(value, shape.type, strict=True)
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


_SCALARS: Final = frozenset({bool, int, float, str, bytes, Secret, datetime.datetime, datetime.date, datetime.time})
_TEXT_ORDER: Final = ("none", "quantity", "scalar")


def _text_order(shape: Shape) -> int:
    """Text is tried as whatever is most particular first: ``on`` as a bool, ``5`` as a number, then as text."""
    if shape.kind == "none":
        return 0
    if shape.bare is bool:
        return 1
    if shape.bare in (str, Secret, Any) and shape.kind == "scalar":
        return 5
    return 2 if shape.bare is int else 3 if shape.bare is float else 4


def _native(shape: Shape, text: str) -> Any:
    if shape.kind == "none":
        if text.strip().lower() in {"null", "none"}:
            return None
        raise _Unfit
    if shape.kind == "quantity" or shape.bare in (str, Secret, Any) or get_origin(shape.bare) is not None:
        return text
    if shape.bare is bool:
        word = text.strip().lower()
        if word in TRUE | FALSE:
            return word in TRUE
        raise _Unfit(expected="true or false")
    return text.strip()


def _fitted(shape: Shape, value: Any, *, strict: bool) -> Any:
    """The value as one alternative of a type.

    :raises _Unfit: it is not of that alternative
    """
    if isinstance(value, bool) and (shape.kind == "quantity" or shape.bare in (int, float)):
        raise _Unfit
    if shape.kind == "struct":
        if isinstance(value, shape.bare):
            return value
        raise _Unfit
    if shape.kind in {"list", "mapping"}:
        raise _Unfit
    if shape.kind == "quantity":
        value = _quantity(shape, value)
    elif is_class(shape.bare, PurePath):
        if isinstance(value, (str, PurePath)) and str(value):
            return shape.bare(value)
        raise _Unfit
    elif not strict and get_origin(shape.bare) is Literal:
        # msgspec finds a number among the choices only when it is a number already.
        for choice in get_args(shape.bare):
            if str(choice) == str(value).strip():
                return choice
        raise _Unfit
    try:
        return _converted(value, shape.type, strict=strict)
    except msgspec.ValidationError:
        if shape.type is shape.bare or shape.kind == "quantity":
            raise _Unfit("out of bounds" if shape.kind == "quantity" else "wrong value") from None
    try:
        _converted(value, shape.bare, strict=strict)
    except msgspec.ValidationError:
        raise _Unfit from None
    raise _Unfit("out of bounds")


def _quantity(shape: Shape, value: Any) -> Any:
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    try:
        match shape.quantity:
            case "duration" if isinstance(value, (str, int, float)):
                return parse_duration(value)
            case "size" if isinstance(value, (str, int, float)):
                return parse_size(value)
            case "rate" if isinstance(value, str):
                parse_rate(value)
                return value
            case _:
                raise _Unfit
    except ValueError:
        raise _Unfit from None


def _converted(value: Any, type_: Any, *, strict: bool) -> Any:
    if type_ is Any:
        return value
    return msgspec.convert(value, type_, strict=strict, dec_hook=_dec_hook)


def _dec_hook(type_: type[Any], value: object) -> object:
    # Values inside lists and mappings were converted already; msgspec asks about those it does not know.
    if isinstance(value, type_):
        return value
    if issubclass(type_, PurePath) and isinstance(value, str):
        return type_(value)
    try:
        return secret_dec_hook(type_, value)
    except NotImplementedError:
        raise ValueError(f"Expected `{type_.__name__}`") from None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ungrown(node: Node) -> Any:
    return {key: _ungrown(inner) for key, inner in node.items.items()} if isinstance(node, Table) else node.value


def _secrets_in(value: Any) -> list[str]:
    if isinstance(value, Secret):
        return [value.reveal_bytes().decode(errors="replace")]
    if isinstance(value, msgspec.Struct):
        return [text for name in value.__struct_fields__ for text in _secrets_in(getattr(value, name))]
    if isinstance(value, dict):
        return [text for inner in cast("dict[object, Any]", value).values() for text in _secrets_in(inner)]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [text for inner in cast("list[Any]", value) for text in _secrets_in(inner)]
    return []


def show(node: Node, type_: Any, path: Path) -> str:
    """A wrong value as a problem shows it: never a secret, never much of anything."""
    if isinstance(node, Table):
        return "a table"
    if node.origin.hidden or holds_secret(type_) or any(isinstance(step, str) and is_sensitive(step) for step in path):
        return HIDDEN
    value: object = node.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, datetime.date, datetime.time)):
        return str(value)
    if isinstance(value, str):
        import json

        text = redact_url(value)
        text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
        return json.dumps(text, ensure_ascii=not _is_utf8(text))
    if isinstance(value, (list, tuple)):
        return f"a list of {len(cast('list[Any]', value))}"
    return f"a {type(value).__name__}"
