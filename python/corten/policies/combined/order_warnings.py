"""Warnings about orders of policies that are probably not meant."""

from __future__ import annotations

import os.path
import sys
import warnings
from collections.abc import Iterator, Sequence

from corten.errors import PolicyOrderWarning
from corten.policies.combined.order_rules import RULES, Pair, Rule, kind_of

_OURS = __file__.removesuffix(os.path.sep.join(("policies", "combined", "order_warnings.py")))


_BY_KINDS = {(rule.outer, rule.inner): rule for rule in RULES}


def misplaced(policies: Sequence[object]) -> Iterator[Rule]:
    """Yield the rules that an order breaks, each once."""
    seen: set[str] = set()
    for index, outer in enumerate(policies):
        for further, inner in enumerate(policies[index + 1 :], index + 1):
            rule = _BY_KINDS.get((kind_of(outer), kind_of(inner)))
            if rule is None or rule.name in seen:
                continue
            if rule.applies(Pair(outer, inner, tuple(policies[further + 1 :]))):
                seen.add(rule.name)
                yield rule


def warn_of_order(pipeline: str, policies: Sequence[object], said: set[str]) -> None:
    """Warn of an order that is probably not meant, at the line that made the pipeline.

    :param said: names of rules already warned of; new ones are added
    """
    for rule in misplaced(policies):
        if rule.name not in said:
            said.add(rule.name)
            warnings.warn(PolicyOrderWarning(pipeline, rule.name, rule.reason), stacklevel=_level())


def _level() -> int:
    """Return how many frames above `warn_of_order` the user's code is."""
    frame, level = sys._getframe(1), 1  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame, level = frame.f_back, level + 1
    return level
