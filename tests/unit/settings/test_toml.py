"""The line of each value in a TOML file."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.settings.reading.toml import Lines

DOCUMENT = '''\
# a comment = 1
title = "x # no comment"
a.b."c.d" = 1

[table] # here
key = """
several [lines]
"""
after = \'\'\'it's
fine\'\'\'
list = [ # one
  1,
  [2, 3], # nested
  { x = 1, y = { z = "}" } },
]
date = 1979-05-27T07:32:00Z

[[rows]]
n = 1
[rows.inner]
deep = true
[[rows]]
n = 2
[ quoted . "key" ]
last = -1.5
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("a", "b", "c.d"), 3),
        (("a",), 3),
        (("table",), 5),
        (("table", "key"), 6),
        (("table", "after"), 9),
        (("table", "list"), 11),
        (("table", "list", 0), 12),
        (("table", "list", 1), 13),
        (("table", "list", 1, 1), 13),
        (("table", "list", 2, "y", "z"), 14),
        (("table", "date"), 16),
        (("rows",), 18),
        (("rows", 0, "n"), 19),
        (("rows", 0, "inner", "deep"), 21),
        (("rows", 1, "n"), 23),
        (("quoted", "key", "last"), 25),
        (("table", "missing"), 5),
    ],
)
def test_each_value_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    tomllib.loads(DOCUMENT)
    assert Lines("f", DOCUMENT).where(path) == f"f:{line}"


def test_what_is_nowhere_has_the_file_alone() -> None:
    assert Lines("f", DOCUMENT).where(("nowhere",)) == "f"


def test_windows_line_ends_count_once() -> None:
    assert Lines("f", "a = 1\r\nb = 2\r\n").where(("b",)) == "f:2"


@given(st.text(alphabet="ab=.[]{}\"'#,\n 1\\", max_size=60))
def test_no_text_makes_it_fail_or_hang(text: str) -> None:
    assert Lines("f", text).where(("a",)).startswith("f")


@given(st.lists(st.sampled_from(["1", '"x"', "[1, 2]", "{ k = 1 }", "'''a\nb'''", "true"]), min_size=1, max_size=12))
def test_lines_agree_with_counting(values: list[str]) -> None:
    text, lines, line = "", [], 1
    for index, value in enumerate(values):
        lines.append(line)
        text += f"k{index} = {value}\n"
        line += value.count("\n") + 1
    tomllib.loads(text)
    assert [Lines("f", text).where((f"k{index}",)) for index in range(len(values))] == [f"f:{each}" for each in lines]
