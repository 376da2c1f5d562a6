"""Events reach those who subscribed, and nobody can break the emitter."""

from __future__ import annotations

import logging
import threading

import msgspec
import pytest

from corten.events import Degraded, Event, Events, Recovered, TaskRestarted

away = Degraded(what="redis", reason="connection refused")


def test_subscribers_are_told_in_the_order_of_subscription() -> None:
    events, told = Events(), list[tuple[str, Event]]()
    events.subscribe(lambda event: told.append(("first", event)))
    events.subscribe(lambda event: told.append(("second", event)))
    events.emit(away)
    assert told == [("first", away), ("second", away)]


def test_a_kind_narrows_what_a_subscriber_is_told() -> None:
    events, told = Events(), list[str]()
    events.subscribe(lambda event: told.append(event.what), Recovered)
    events.emit(away)
    events.emit(Recovered(what="redis"))
    assert told == ["redis"]


def test_the_kind_of_a_family_includes_its_subclasses() -> None:
    class Ours(Event, frozen=True):
        number: int

    class OursToo(Ours, frozen=True):
        pass

    events, told = Events(), list[int]()
    events.subscribe(lambda event: told.append(event.number), Ours)
    events.emit(OursToo(number=7))
    assert told == [7]


def test_a_subscriber_that_raises_is_logged_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    events, told = Events(), list[Event]()

    def broken(event: Event) -> None:
        raise RuntimeError("mine")

    events.subscribe(broken)
    events.subscribe(told.append)
    with caplog.at_level(logging.ERROR, "corten.events"):
        events.emit(away)
    assert told == [away]
    assert "broken" in caplog.text
    assert "Degraded" in caplog.text
    assert events.statistics().subscriber_errors == 1


def test_ending_a_subscription_twice_leaves_another_of_the_same_callback() -> None:
    events, told = Events(), list[Event]()
    end = events.subscribe(told.append)
    events.subscribe(told.append)
    end()
    end()
    events.emit(away)
    assert told == [away]


def test_a_subscriber_may_unsubscribe_itself_while_it_is_told() -> None:
    events, told = Events(), list[Event]()

    def once(event: Event) -> None:
        told.append(event)
        end()

    end = events.subscribe(once)
    events.emit(away)
    events.emit(away)
    assert told == [away]


def test_only_the_last_events_are_remembered() -> None:
    moments = iter(range(100))
    events = Events(max_history=3, wall=lambda: float(next(moments)))
    for number in range(10):
        events.emit(TaskRestarted(task="feed", restarts=number, delay=1.0, error="gone"))
    assert [occurrence.at for occurrence in events.recent()] == [7.0, 8.0, 9.0]
    assert [occurrence.event.restarts for occurrence in events.recent(2)] == [8, 9]  # type: ignore[attr-defined]
    assert events.recent(0) == ()
    assert events.statistics().emitted == 10


def test_an_event_is_frozen_and_says_its_kind_in_json() -> None:
    with pytest.raises(AttributeError):
        away.reason = "other"  # type: ignore[misc]
    assert msgspec.json.decode(msgspec.json.encode(away)) == {
        "event": "Degraded",
        "what": "redis",
        "reason": "connection refused",
    }


def test_threads_lose_no_event() -> None:
    events = Events()

    def emit_many() -> None:
        for _ in range(2_000):
            events.emit(away)

    threads = [threading.Thread(target=emit_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert events.statistics().emitted == 8_000
