"""An order by requirement, then by name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.plugins.order import Circle, in_order


def named(item: str) -> tuple[str, ...]:
    return (item,)


graphs = st.dictionaries(st.sampled_from("abcdefg"), st.sets(st.sampled_from("abcdefg")), min_size=1)


@given(graphs)
@settings(deadline=None)
def test_each_comes_after_what_it_requires_and_a_circle_is_named(graph: dict[str, set[str]]) -> None:
    items = sorted(set(graph).union(*graph.values()), reverse=True)
    try:
        ordered = in_order(items, graph, named)
    except Circle as circle:
        members = circle.members
        for first, second in zip(members, (*members[1:], members[0]), strict=True):
            assert second in graph[first]
        return
    assert sorted(ordered) == sorted(items)
    for item, required in graph.items():
        assert all(ordered.index(each) < ordered.index(item) for each in required)
    assert ordered == in_order(items[::-1], graph, named)


def test_names_decide_where_requirements_do_not() -> None:
    assert in_order("dcba", {"a": "d"}, named) == ["b", "c", "d", "a"]


def test_who_requires_itself_is_a_circle_of_one() -> None:
    with pytest.raises(Circle) as caught:
        in_order("a", {"a": "a"}, named)
    assert caught.value.members == ("a",)
