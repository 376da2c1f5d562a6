"""Both formats say everything, in one record, and nothing that must not be said."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import msgspec
import pytest

from corten.logs import (
    ConsoleFormatter,
    JsonFormatter,
    configure,
    current_fields,
    log_context,
    set_trace_provider,
)
from corten.secrets import Secret


def record(message: object = "started", *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("corten.app", level, __file__, 1, message, args, None)
    made.created = 1_700_000_000.5
    made.__dict__.update(extra)
    return made


def as_json(given: logging.LogRecord, app: str = "") -> dict[str, Any]:
    text = JsonFormatter(app).format(given)
    assert len(text.splitlines()) == 1
    decoded: dict[str, Any] = json.loads(text)
    return decoded


def as_line(given: logging.LogRecord) -> str:
    return ConsoleFormatter().format(given)


def failed() -> Any:
    try:
        raise ValueError("first\n2026-01-01T00:00:00.000Z INFO forged: line")
    except ValueError:
        return sys.exc_info()


def test_json_carries_time_level_logger_message_and_app() -> None:
    assert as_json(record("%s of %d", "three", 4), app="savings") == {
        "time": "2023-11-14T22:13:20.500Z",
        "level": "INFO",
        "logger": "corten.app",
        "message": "three of 4",
        "app": "savings",
    }


def test_a_line_for_people_carries_the_same() -> None:
    assert as_line(record("ready", port=80)) == "2023-11-14T22:13:20.500Z INFO     corten.app: ready  port=80"


def test_only_a_terminal_gets_colours() -> None:
    warned = record("late", level=logging.WARNING)
    assert "\x1b" not in ConsoleFormatter().format(warned)
    assert "\x1b[33mWARNING \x1b[0m corten.app: late" in ConsoleFormatter(colour=True).format(warned)


class TestFields:
    def test_blocks_add_fields_and_an_inner_one_wins(self) -> None:
        with log_context(request="a", user=1):
            with log_context(user=2):
                assert as_json(record())["user"] == 2
                assert as_json(record())["request"] == "a"
            assert as_line(record()).endswith("started  request=a user=1")
        assert current_fields() == {}
        assert "request" not in as_json(record())

    def test_extra_fields_win_over_the_blocks(self) -> None:
        with log_context(user=1):
            assert as_json(record(user=2))["user"] == 2

    def test_a_field_cannot_replace_a_part_of_the_record(self) -> None:
        given = record(error="forged")
        given.__dict__["level"] = "forged"
        line = as_json(given)
        assert (line["level"], line["level_"], line["error_"]) == ("INFO", "forged", "forged")
        assert "error" not in line

    @pytest.mark.anyio
    async def test_fields_follow_the_tasks_that_a_block_starts_and_no_others(self) -> None:
        seen: dict[str, object] = {}

        async def work(name: str) -> None:
            seen[name] = dict(current_fields())

        async with anyio.create_task_group() as tasks:
            with log_context(message_id=7):
                tasks.start_soon(work, "inside")
            tasks.start_soon(work, "outside")
        assert seen == {"inside": {"message_id": 7}, "outside": {}}

    def test_values_with_blanks_are_quoted_for_people(self) -> None:
        assert as_line(record(path="a b", empty="", quote='"')).endswith(r'path="a b" empty="" quote="\""')

    def test_values_of_any_type_are_shown(self) -> None:
        class Odd:
            def __str__(self) -> str:
                raise RuntimeError("no words")

        class Point(msgspec.Struct):
            x: int

        line = as_json(record(point=Point(1), odd=Odd(), kind=int, nan=float("nan")))
        assert (line["point"], line["odd"], line["kind"]) == ({"x": 1}, "<unprintable Odd>", "<class 'int'>")
        assert 'odd="<unprintable Odd>"' in as_line(record(odd=Odd()))

    def test_what_json_cannot_hold_costs_no_record(self) -> None:
        loop: list[object] = []
        loop.append(loop)
        line = as_json(record("lone \udcff", keys={(1, 2): 3}, loop=loop))
        assert line["message"] == "lone ?"
        assert line["keys"] == "{(1, 2): 3}"


class TestErrors:
    def test_json_has_the_traceback_in_a_field_of_its_own(self) -> None:
        error = as_json(record("failed", exc_info=failed()))["error"]
        assert error.startswith("Traceback (most recent call last)")
        assert "ValueError: first\n" in error

    def test_no_line_of_a_traceback_can_pass_for_a_record(self) -> None:
        first, *rest = as_line(record("failed", exc_info=failed())).split("\n")
        assert first.endswith("corten.app: failed")
        assert rest
        assert all(line.startswith("    ") for line in rest)

    def test_a_message_whose_arguments_do_not_fit_is_not_lost(self) -> None:
        assert as_json(record("%d of %d", "three"))["message"] == "%d of %d (its arguments do not fit: TypeError)"

    def test_a_stack_that_was_asked_for_is_shown(self) -> None:
        assert as_json(record(stack_info="Stack (most recent call last):\n  here"))["error"].endswith("here")


@pytest.mark.parametrize(
    "hostile",
    ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\u2028b", "a\x85b", "a\u202eb", "a\x9bb", "a\x00b", "a\x7fb", "a\U000e0001b"],
)
def test_nothing_logged_begins_a_line_or_moves_the_cursor(hostile: str) -> None:
    for given in (record(hostile), record("%s", hostile), record(field=hostile), record(**{hostile: 1})):
        line = as_line(given)
        assert line.isprintable()
        text = JsonFormatter().format(given)
        assert len(text.splitlines()) == 1
        assert text.isprintable()
    logger = record()
    logger.name = hostile
    assert as_line(logger).isprintable()


class TestSecrets:
    def test_a_secret_is_hidden_wherever_it_is_logged(self) -> None:
        class Settings(msgspec.Struct):
            password: Secret

        secret = Secret("hunter2")
        given = record("connect with %s", secret, token=secret, settings=Settings(secret), many=[secret])
        with log_context(key=secret):
            for text in (JsonFormatter().format(given), as_line(given)):
                assert "hunter2" not in text
                assert "<secret>" in text

    def test_a_field_called_like_a_secret_is_hidden_too(self) -> None:
        given = record(api_key="hunter2", user="ada")
        for text in (JsonFormatter().format(given), as_line(given)):
            assert "hunter2" not in text
            assert "ada" in text


class TestTraces:
    def test_ids_come_from_the_provider_while_it_is_set(self) -> None:
        restore = set_trace_provider(lambda: ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
        line = as_json(record())
        restore()
        assert (line["trace_id"], line["span_id"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
        assert "trace_id" not in as_json(record())

    def test_a_provider_that_fails_costs_only_its_ids(self) -> None:
        def broken() -> tuple[str, str] | None:
            raise RuntimeError("no span")

        restore = set_trace_provider(broken)
        line = as_json(record())
        restore()
        assert line["message"] == "started"
        assert "trace_id" not in line


class TestConfigure:
    @pytest.fixture
    def root(self) -> Iterator[logging.Logger]:
        logger = logging.Logger("untouched")
        yield logger
        logger.handlers.clear()

    def test_writes_json_where_there_is_no_terminal(self, root: logging.Logger) -> None:
        stream = io.StringIO()
        assert configure("INFO", "auto", stream, app="savings", root=root) is not None
        root.info("ready")
        root.debug("not this")
        (line,) = stream.getvalue().splitlines()
        assert json.loads(line)["app"] == "savings"

    def test_writes_for_people_where_there_is_a_terminal(self, root: logging.Logger) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        stream = Terminal()
        configure("INFO", "auto", stream, root=root)
        root.error("gone")
        assert stream.getvalue().endswith("\x1b[31mERROR   \x1b[0m untouched: gone\n")

    def test_leaves_alone_what_somebody_has_set_up(self, root: logging.Logger) -> None:
        handler = logging.NullHandler()
        root.addHandler(handler)
        assert configure("DEBUG", "json", io.StringIO(), root=root) is None
        assert (root.handlers, root.level) == ([handler], logging.NOTSET)

    def test_can_be_undone(self, root: logging.Logger) -> None:
        undo = configure("DEBUG", "json", io.StringIO(), root=root)
        assert undo is not None
        undo()
        assert (root.handlers, root.level) == ([], logging.NOTSET)

    def test_a_wrong_level_is_refused_before_anything_is_set_up(self, root: logging.Logger) -> None:
        with pytest.raises(ValueError, match="LOUD"):
            configure("LOUD", "json", io.StringIO(), root=root)  # type: ignore[arg-type]
        assert root.handlers == []


def test_records_go_to_what_standard_error_is_at_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.Logger("of its own")
    undo = configure(format="console", root=root)
    assert undo is not None
    later = io.StringIO()
    monkeypatch.setattr(sys, "stderr", later)
    root.info("behind the progress bar")
    undo()
    assert "behind the progress bar" in later.getvalue()


def test_servers_that_tell_what_we_tell_are_quieted_and_let_go() -> None:
    server = logging.getLogger("uvicorn.error")
    server.setLevel(logging.NOTSET)
    undo = configure(stream=io.StringIO(), root=logging.Logger("of its own"))
    assert undo is not None
    assert server.level == logging.WARNING
    undo()
    assert server.level == logging.NOTSET


def test_a_message_is_not_repeated_in_colour() -> None:
    record = logging.makeLogRecord({"msg": "started", "color_message": "\x1b[36mstarted"})
    assert "color_message" not in JsonFormatter().format(record)
