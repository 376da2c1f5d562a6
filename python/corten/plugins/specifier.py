"""Version specifiers, as far as a plugin needs them to say which versions of Corten it works with.

The comparison of `PEP 440 <https://peps.python.org/pep-0440/>`_ without epochs, ``===`` and local versions.
Pre-releases count as the versions they are.
"""

from __future__ import annotations

import math
import re
from itertools import zip_longest

_VERSION = re.compile(
    r"v?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<pre_n>\d*))?"
    r"(?:(?:[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n>\d*))|-(?P<post_only>\d+))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>\d*))?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.IGNORECASE | re.ASCII,
)
_CLAUSE = re.compile(r"(?P<operator>~=|==|!=|<=|>=|<|>)\s*(?P<version>[^\s,]+)")
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_END = "~"  # sorts after every letter of a pre-release

_Key = tuple[tuple[int, ...], tuple[str, int], int, float]


def matches(specifier: str, version: str) -> bool:
    """Whether a version is one that ``">=0.1,<2"`` describes. An empty specifier describes all.

    :raises ValueError: the specifier or the version is none; says what would be right
    """
    return all(_holds(clause.strip(), version) for clause in specifier.split(",") if clause.strip())


def _holds(clause: str, version: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise ValueError(f'not a version specifier: {clause!r}; expected clauses such as ">=0.1,<2" or "~=1.4"')
    operator, wanted = match["operator"], match["version"]
    if wanted.endswith(".*"):
        if operator not in ("==", "!="):
            raise ValueError(f"not a version specifier: {clause!r}; .* goes with == and != only")
        return _begins(version, _parse(wanted[:-2])[0]) is (operator == "==")
    if operator == "~=":
        release = _parse(wanted)[0]
        if len(release) < 2:
            raise ValueError(f"not a version specifier: {clause!r}; ~= needs two numbers, such as ~=1.4")
        return _key(version) >= _key(wanted) and _begins(version, release[:-1])
    have, want = _key(version), _key(wanted)
    match operator:
        case "==":
            return have == want
        case "!=":
            return have != want
        case ">=":
            return have >= want
        case "<=":
            return have <= want
        case "<":  # 2.0rc1 is not what anybody means by <2.0
            same = have[0] == want[0] if want[2] < 0 else have[:3] == want[:3]
            return have < want and (_is_early(wanted) or not (_is_early(version) and same))
        case _:  # nor is 1.0.post1 meant by >1.0
            is_post_of_it = have[2] >= 0 > want[2] and have[:2] == want[:2] and want[3] == math.inf
            return have > want and not is_post_of_it


def _parse(version: str) -> tuple[tuple[int, ...], re.Match[str]]:
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"not a version: {version!r}; expected one such as 1.4.2")
    return tuple(int(part) for part in match["release"].split(".")), match


def _is_early(version: str) -> bool:
    match = _parse(version)[1]
    return bool(match["pre"] or match["dev"])


def _begins(version: str, prefix: tuple[int, ...]) -> bool:
    pairs = zip_longest(_parse(version)[0][: len(prefix)], prefix, fillvalue=0)
    return all(have == want for have, want in pairs)


def _key(version: str) -> _Key:
    """What sorts versions: release, then dev before a, b, rc before the release itself, before post."""
    release, match = _parse(version)
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    post = int(match["post_n"] or match["post_only"] or 0) if match["post"] or match["post_only"] else -1
    if match["pre"]:
        word = match["pre"].lower()
        pre = (_PRE.get(word, word), int(match["pre_n"] or 0))
    else:
        pre = ("", 0) if match["dev"] and post < 0 else (_END, 0)
    dev = float(match["dev_n"] or 0) if match["dev"] else math.inf
    return release, pre, post, dev
