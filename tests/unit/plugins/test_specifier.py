"""Versions and what they are described by, next to the `packaging` library as the model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from corten.plugins.specifier import matches

numbers = st.integers(0, 3)
releases = st.lists(numbers, min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
suffixes = st.sampled_from(["", "", "", "a1", "b2", "rc1", ".post1", ".dev1", "rc1.dev2", "a1.post2", "1-1"[1:]])
versions = st.builds(lambda release, suffix: release + suffix, releases, suffixes)


@st.composite
def specifiers(draw: st.DrawFn) -> str:
    clauses = []
    for _ in range(draw(st.integers(1, 3))):
        operator = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "~=", "==*", "!=*"]))
        if operator.endswith("*"):
            clauses.append(f"{operator[:2]}{draw(releases)}.*")
        elif operator == "~=":
            clauses.append(f"~={draw(numbers)}.{draw(versions)}")
        else:
            clauses.append(f"{operator}{draw(versions)}")
    return ",".join(clauses)


@given(specifiers(), versions)
@settings(max_examples=300, deadline=None)
def test_it_says_what_packaging_says(specifier: str, version: str) -> None:
    assert matches(specifier, version) == SpecifierSet(specifier, prereleases=True).contains(version)


SUFFIXES = ("", "a1", "rc1", ".post1", ".dev1", "rc1.dev2", "a1.post2", ".post1.dev1", "a1.post2.dev3")
NEAR = [release + suffix for release in ("0.2", "0.2.0", "1", "0.2.1") for suffix in SUFFIXES]


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "==", "!=", "~="])
def test_it_says_so_of_all_that_are_near(operator: str) -> None:
    for wanted in NEAR:
        if operator == "~=" and wanted.startswith("1"):  # ~= needs two numbers
            continue
        specifier = operator + wanted
        model = SpecifierSet(specifier, prereleases=True)
        for version in NEAR:
            assert matches(specifier, version) == model.contains(version), (specifier, version)


@pytest.mark.parametrize(
    ("specifier", "version", "fits"),
    [
        ("", "0.1.0", True),
        (">=0.1", "0.1.0", True),
        (">= 0.1 , < 2", "1.9", True),
        ("<0.1", "0.1.0", False),
        ("~=0.1", "0.9", True),
        ("~=0.1.0", "0.2", False),
        ("==0.1.*", "0.1.7", True),
        ("==1.0", "1.0+local.1", True),
    ],
)
def test_examples(specifier: str, version: str, fits: bool) -> None:
    assert matches(specifier, version) is fits


@pytest.mark.parametrize(
    ("specifier", "words"),
    [
        ("0.1", "not a version specifier: '0.1'; expected clauses such as"),
        ("=>1", "not a version specifier"),
        ("~=1", "needs two numbers"),
        (">=1.*", "goes with == and != only"),
        (">=one", "not a version: 'one'"),
    ],
)
def test_what_is_no_specifier_is_refused_with_what_would_be(specifier: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        matches(specifier, "1.0")
