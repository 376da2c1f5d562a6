"""Reading a ``.env`` file; python-dotenv knows its grammar and comes with ``corten[dotenv]``."""

from __future__ import annotations

import io
from pathlib import Path

from corten.errors import SettingsProblem
from corten.settings.reading.tree import shown_path


def read_dotenv(file: Path, problems: list[SettingsProblem]) -> dict[str, tuple[str, int]]:
    """Return names with values and lines. ``${NAME}`` is not replaced: a password may hold a dollar sign."""
    shown = shown_path(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(SettingsProblem(shown, f"cannot be read: {reason}", "a readable file in UTF-8", shown))
        return {}
    try:
        from dotenv.parser import parse_stream
    except ImportError:
        expected = "python-dotenv: pip install 'corten[dotenv]' (or remove the file)"
        problems.append(SettingsProblem(shown, "cannot be read without python-dotenv", expected, shown))
        return {}
    found: dict[str, tuple[str, int]] = {}
    for binding in parse_stream(io.StringIO(text)):
        # The original of a binding begins with the blank lines before it.
        original = binding.original.string
        line = binding.original.line + original[: len(original) - len(original.lstrip())].count("\n")
        if binding.error:
            problems.append(SettingsProblem(shown, "is not a line of a .env file", "NAME=value", f"{shown}:{line}"))
        elif binding.key is not None:
            found[binding.key] = (binding.value or "", line)
    return found
