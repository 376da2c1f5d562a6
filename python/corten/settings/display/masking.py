"""Values as problems of settings show them: without secrets, and short."""

from __future__ import annotations

import datetime
from typing import Any, Final, cast

import msgspec

from corten.secrets import HIDDEN, Secret, is_hidden, redact_url
from corten.settings.reading.tree import Node, Path, Table
from corten.settings.types.schema import holds_secret

_LONGEST_SHOWN: Final = 80


def show(node: Node, type_: Any, path: Path) -> str:
    """Return a wrong value as a problem shows it: without secrets, and short."""
    if isinstance(node, Table):
        return "a table"
    if node.origin.hidden or holds_secret(type_) or is_hidden(node.value, path):
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
        return json.dumps(text, ensure_ascii=not is_utf8(text))
    if isinstance(value, (list, tuple)):
        return f"a list of {len(cast('list[Any]', value))}"
    return f"a {type(value).__name__}"


def is_utf8(text: str) -> bool:
    """Return whether a text has no lone surrogates, which stand for bytes outside UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def secrets_in(value: Any) -> list[str]:
    """Return the texts of all secrets in a value, to remove them from messages about it."""
    if isinstance(value, Secret):
        return [value.reveal_bytes().decode(errors="replace")]
    if isinstance(value, msgspec.Struct):
        return [text for name in value.__struct_fields__ for text in secrets_in(getattr(value, name))]
    if isinstance(value, dict):
        return [text for inner in cast("dict[object, Any]", value).values() for text in secrets_in(inner)]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [text for inner in cast("list[Any]", value) for text in secrets_in(inner)]
    return []
