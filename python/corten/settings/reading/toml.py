"""Reading a TOML file, and the line of each value in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Final

from corten.errors import SettingsProblem
from corten.settings.reading.tree import Node, Origin, Path, Table, grow, shown_path

_BLANK: Final = re.compile(r"[ \t]*")
_SPACE: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]+")
_AT: Final = re.compile(
    r"^(?P<what>.*?)\s*\(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.DOTALL
)


def read_toml(file: FilePath, problems: list[SettingsProblem]) -> Table | None:
    """Return the tables of a file; report an unreadable file and return None."""
    shown = shown_path(file)
    try:
        content = file.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        problems.append(SettingsProblem(shown, message, expected="a readable TOML file", source=shown))
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(
            SettingsProblem(shown, "is not UTF-8", expected="a TOML file in UTF-8", source=f"{shown}:{line}")
        )
        return None
    try:
        # tomllib wants the newlines of text files, as open() would have given them.
        document = tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.append(_malformed(shown, str(error), text))
        return None
    lines = Lines(shown, text)
    node: Node = grow(document, Origin(where=lines.where, strict=True))
    return node if isinstance(node, Table) else None


def _malformed(shown: str, error: str, text: str) -> SettingsProblem:
    match = _AT.match(error)
    if match is None:
        return SettingsProblem(shown, f"is not valid TOML: {error}", source=shown)
    line = match["line"] or str(text.rstrip().count("\n") + 1)
    place = f"{shown}:{line}:{match['column']}" if match["column"] else f"{shown}:{line}"
    at_end = "" if match["line"] else ", at the end of the file"
    return SettingsProblem(shown, f"is not valid TOML: {match['what']}{at_end}", source=place)


class Lines:
    """Finds the line of each value in a valid TOML document, when first asked.

    tomllib does not tell lines, so this class scans the text again. It relies on a document that tomllib accepted.
    Where it does not understand the text it stops, and gives the line of the nearest value around.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text.removeprefix("\ufeff")

    def where(self, path: Path) -> str:
        """``corten.toml:12``, or the file's name alone where the line is not known."""
        for length in range(len(path), 0, -1):
            line = self._lines.get(path[:length])
            if line is not None:
                return f"{self._name}:{line}"
        return self._name

    @cached_property
    def _lines(self) -> dict[Path, int]:
        return _Scanner(self._text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        prefix: Path = ()
        try:
            while self.skip(_SPACE) and self.at < len(self.text):
                if self.text.startswith("[[", self.at):
                    self.at += 2
                    keys = self.resolve(self.keys())
                    index = self.arrays[keys] = self.arrays.get(keys, -1) + 1
                    self.mark(keys)
                    prefix = (*keys, index)
                    self.lines[prefix] = self.line
                    self.at += 2
                elif self.text[self.at] == "[":
                    self.at += 1
                    prefix = self.resolve(self.keys())
                    self.mark(prefix)
                    self.at += 1
                else:
                    self.pair(prefix)
        except (IndexError, RecursionError, tomllib.TOMLDecodeError):
            pass
        return self.lines

    def resolve(self, keys: tuple[str, ...]) -> Path:
        """Return a header's path, with the index of the newest element in each array of tables."""
        path: Path = ()
        for key in keys:
            if path in self.arrays:
                path = (*path, self.arrays[path])
            path = (*path, key)
        return path

    def mark(self, path: Path) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], self.line)

    def skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.at)
        if match is None or match.end() == self.at:
            return pattern is _SPACE
        self.line += self.text.count("\n", self.at, match.end())
        self.at = match.end()
        return True

    def keys(self) -> tuple[str, ...]:
        found: list[str] = []
        while True:
            self.skip(_BLANK)
            match = _KEY.match(self.text, self.at)
            if match is None:
                raise IndexError
            key = match[0]
            if key[0] in "\"'":
                key = next(iter(tomllib.loads(f"{key} = 0")))
            found.append(key)
            self.at = match.end()
            self.skip(_BLANK)
            if self.text[self.at] != ".":
                return tuple(found)
            self.at += 1

    def pair(self, prefix: Path) -> None:
        path = (*prefix, *self.keys())
        self.mark(path)
        self.lines[path] = self.line
        self.at += 1  # the equals sign
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        opening = self.text[self.at]
        if opening == "[":
            self.inside("]", lambda index: self.element((*path, index)))
        elif opening == "{":
            self.inside("}", lambda _index: self.pair(path))
        elif not self.skip(_STRING) and not self.skip(_SCALAR):
            raise IndexError

    def element(self, path: Path) -> None:
        self.lines[path] = self.line
        self.value(path)

    def inside(self, closing: str, read: Callable[[int], Any]) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip(_SPACE)
            if self.text[self.at] == closing:
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            read(index)
            index += 1
