"""Statistics of hedges, by function."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from corten.pipeline.functions.function import GuardedFunction
from corten.pipeline.layers.hedge import FunctionHedge
from corten.policies.hedge import HedgeStatistics


def hedges_of(functions: Iterable[GuardedFunction]) -> tuple[HedgeStatistics, ...]:
    """Return the statistics of hedges, summed by function name."""
    found: dict[str, HedgeStatistics] = {}
    for guarded in list(functions):
        index = 0
        while isinstance(hedge := guarded.kept(("hedge", index)), FunctionHedge):
            seen = hedge.statistics()
            before = found.get(seen.function)
            if before is not None:
                seen = replace(seen, started=seen.started + before.started, won=seen.won + before.won)
            found[seen.function] = seen
            index += 1
    return tuple(found[each] for each in sorted(found))
