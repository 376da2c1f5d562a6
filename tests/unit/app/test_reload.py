"""Reload: all changes apply, or none, and the result is reported."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from corten import App, CircuitBreaker, Pipeline, RateLimit, Retry, Timeout
from corten.app.internals import internals_of
from corten.errors import ChaosError, CircuitOpen, CortenError, RateLimited, SettingsError
from corten.events import SettingsRejected, SettingsReloaded
from corten.hookspecs import hookimpl
from corten.plugins import Resource
from corten.secrets import Secret
from corten.settings import Section
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio


def table(name: str, *policies: str) -> str:
    return f"[pipelines.{name}]\npolicies = [{', '.join(policies)}]\n"


LIMIT = '{{ policy = "rate_limit", rate = "{rate}/s", burst = {burst} }}'
BREAKER = '{{ policy = "circuit_breaker", failures = {failures}, open_for = "{wait}s" }}'
TIMEOUT = '{{ policy = "timeout", seconds = {seconds} }}'


class Own(msgspec.Struct, frozen=True):
    greeting: str = "hello"


class Server(msgspec.Struct, frozen=True):
    dsn: Secret
    size: int = 5


class ServerPlugin:
    @hookimpl
    def corten_settings(self) -> list[Section]:
        return [Section("server", Server, instances=True, activated_by=("dsn",))]


class Folder:
    """A settings file, and an App that reads it."""

    def __init__(self, path: Path) -> None:
        self.file = path / "corten.toml"
        self.dotenv = path / ".env"
        self.clock = FakeClock()
        self.told: list[Any] = []

    def write(self, *parts: str) -> None:
        self.file.write_text("\n".join(parts))

    def remove(self, which: str) -> None:
        (self.file if which == "file" else self.dotenv).unlink()

    def app(self, *names: str, plugins: tuple[object, ...] = (), **options: Any) -> App[Own]:
        app = App("x", settings=Own, config=self.file, autoload=False, clock=self.clock, plugins=plugins, **options)
        for name in names:
            app.add(Pipeline(name))
        app.events.subscribe(self.told.append, SettingsReloaded)
        app.events.subscribe(self.told.append, SettingsRejected)
        return app


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def nothing() -> int:
    return 1


async def fails() -> None:
    raise OSError("away")


def value(app: App[Any], name: str, **attributes: str) -> float:
    for instrument in app.registry.snapshot().instruments:
        if instrument.name == name:
            for series in instrument.series:
                if dict(series.attributes) == attributes:
                    assert isinstance(series.value, int | float)
                    return series.value
    return 0


# -- applied


async def test_changed_policies_hold_from_the_next_call_on(folder: Folder) -> None:
    folder.write(table("a", TIMEOUT.format(seconds=1)))
    async with folder.app("a") as app:
        folder.write(table("a", TIMEOUT.format(seconds=2), '{ policy = "retry" }'))
        done = await app.reload()
        assert app.pipelines["a"].policies == (Timeout(2.0), Retry())
        assert done.changed == ("pipelines.a.policies",)
        assert done.needs_restart == ()
        assert folder.told == [SettingsReloaded(app="x", changed=done.changed, needs_restart=())]


async def test_tokens_and_breakers_are_kept_where_the_policy_stays(folder: Folder) -> None:
    parts = (LIMIT.format(rate=1, burst=3), BREAKER.format(failures=2, wait=60))
    folder.write(table("a", parts[0]), table("b", parts[1]))
    async with folder.app("a", "b") as app:
        for _ in range(2):
            await app.pipelines["a"].call(nothing)
        for _ in range(2):
            with pytest.raises(OSError, match="away"):
                await app.pipelines["b"].call(fails)
        folder.write(table("a", LIMIT.format(rate=2, burst=3)), table("b", BREAKER.format(failures=5, wait=60)))
        await app.reload()
        await app.pipelines["a"].call(nothing)
        with pytest.raises(RateLimited) as refused:
            await app.pipelines["a"].call(nothing)
        assert refused.value.retry_after == pytest.approx(0.5)
        with pytest.raises(CircuitOpen):
            await app.pipelines["b"].call(nothing)


async def test_cached_results_are_kept(folder: Folder) -> None:
    folder.write(table("a", '{ policy = "cache", ttl = "1m" }', TIMEOUT.format(seconds=1)))
    async with folder.app("a") as app:
        calls = 0

        @app.pipelines["a"]
        async def count() -> int:
            nonlocal calls
            calls += 1
            return calls

        assert await count() == 1
        folder.write(table("a", '{ policy = "cache", ttl = "1m" }', TIMEOUT.format(seconds=2)))
        await app.reload()
        assert await count() == 1
        assert app.pipelines["a"].policies[1] == Timeout(2.0)


async def test_flags_and_the_end_of_shutdown_are_read_again(folder: Folder) -> None:
    folder.write("[flags]\nnew = false")
    async with folder.app() as app:
        assert not app.flags.is_enabled("new")
        folder.write('[flags]\nnew = true\n[shutdown]\ndeadline = "9s"')
        done = await app.reload()
        assert app.flags.is_enabled("new")
        assert internals_of(app).settings.shutdown.deadline == 9.0
        assert done.changed == ("flags.new", "shutdown.deadline")
        sources = {each.path: each.source for each in internals_of(app).settings.loaded.effective()}
        assert sources["flags.new"].endswith("corten.toml:2")


async def test_chaos_is_allowed_and_ended_while_the_app_runs(folder: Folder) -> None:
    policies = table("users", '{ policy = "chaos", error_rate = 1 }')
    folder.write(policies)
    app = folder.app("users")
    users = app.pipelines["users"](nothing)
    async with app:
        await users()
        for allowed in (True, False, True):
            folder.write(f"[chaos]\nallowed = {str(allowed).lower()}", policies)
            assert (await app.reload()).changed == ("chaos.allowed",)
            if allowed:
                with pytest.raises(ChaosError):
                    await users()
            else:
                await users()
        folder.write(policies)
        assert (await app.reload()).changed == ("chaos.allowed",)
        await users()


async def test_dotenv_is_read_again_too(folder: Folder) -> None:
    folder.write("[flags]\nnew = false")
    async with folder.app() as app:
        folder.dotenv.write_text("CORTEN_FLAGS__NEW=on\n")
        assert (await app.reload()).changed == ("flags.new",)


async def test_arguments_still_win(folder: Folder) -> None:
    folder.write("[flags]\nnew = false")
    async with folder.app(arguments={"flags.new": False}) as app:
        folder.write("[flags]\nnew = true")
        assert (await app.reload()).changed == ()
        assert not app.flags.is_enabled("new")


async def test_a_file_that_is_as_before_changes_nothing_and_says_so(folder: Folder) -> None:
    folder.write(table("a", TIMEOUT.format(seconds=1)))
    async with folder.app("a") as app:
        assert (await app.reload()).changed == ()
        assert app.reload_statistics().applied == 1


async def test_policies_of_the_code_hold_again_when_the_settings_have_none_any_more(folder: Folder) -> None:
    folder.write("")
    app = folder.app()
    app.add(Pipeline("a", Timeout(5.0)))
    async with app:
        folder.write(table("a", TIMEOUT.format(seconds=1)))
        await app.reload()
        assert app.pipelines["a"].policies == (Timeout(1.0),)
        folder.write("")
        await app.reload()
        assert app.pipelines["a"].policies == (Timeout(5.0),)


async def test_policies_that_were_set_by_hand_stay_until_the_settings_change(folder: Folder) -> None:
    folder.write(table("a", TIMEOUT.format(seconds=1)))
    async with folder.app("a") as app:
        app.pipelines["a"].configure([Timeout(9.0)])
        folder.write(table("a", TIMEOUT.format(seconds=1)), "[flags]\nnew = true")
        await app.reload()
        assert app.pipelines["a"].policies == (Timeout(9.0),)
        folder.write(table("a", TIMEOUT.format(seconds=2)))
        await app.reload()
        assert app.pipelines["a"].policies == (Timeout(2.0),)


async def test_a_changed_base_changes_tables_that_extend_it(folder: Folder) -> None:
    extending = '[pipelines.a]\nextends = "base"\n'
    folder.write(table("base", TIMEOUT.format(seconds=1)), extending)
    async with folder.app("a") as app:
        folder.write(table("base", TIMEOUT.format(seconds=2)), extending)
        await app.reload()
        assert app.pipelines["a"].policies == (Timeout(2.0),)


async def test_calls_under_way_end_as_they_began(folder: Folder) -> None:
    folder.write(table("a", TIMEOUT.format(seconds=10)))
    async with folder.app("a") as app, anyio.create_task_group() as group:
        began, go = anyio.Event(), anyio.Event()
        results: list[int] = []

        async def slow() -> int:
            began.set()
            await go.wait()
            return 7

        async def call() -> None:
            results.append(await app.pipelines["a"].call(slow))

        group.start_soon(call)
        await began.wait()
        folder.write(table("a", TIMEOUT.format(seconds=0.1)))
        await app.reload()
        await folder.clock.advance(5)
        go.set()
    assert results == [7]


# -- restart needed


async def test_settings_that_need_a_restart_are_named_and_stay(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write('[server]\ndsn = "db://one"\n[app]\ngreeting = "hello"\n')
    async with folder.app(plugins=(ServerPlugin(),)) as app:
        folder.write('[server]\ndsn = "db://two"\nsize = 7\n[server.second]\ndsn = "db://x"\n[app]\ngreeting = "hi"\n')
        done = await app.reload()
        assert done == await app.reload(), "it is said each time until the restart"
        assert done.changed == ()
        assert done.needs_restart == ("app.greeting", "server.dsn", "server.size", "server.second")
        assert app.section("server")["default"].dsn.reveal() == "db://one"
        assert app.settings.greeting == "hello"
        assert app.reload_statistics().needs_restart == done.needs_restart
        assert value(app, "corten_settings_needing_restart") == 4
    assert "changed settings need a restart: app.greeting, server.dsn, server.size, server.second" in caplog.text
    assert "db://" not in caplog.text


async def test_a_reverted_change_needs_no_restart(folder: Folder) -> None:
    folder.write("[app]\ngreeting = 'a'")
    async with folder.app() as app:
        folder.write("[app]\ngreeting = 'b'")
        assert (await app.reload()).needs_restart == ("app.greeting",)
        folder.write("[app]\ngreeting = 'a'")
        assert (await app.reload()).needs_restart == ()


# -- problems


BAD: dict[str, tuple[str, str]] = {
    "half-written": ('[pipelines.a]\npolicies = [{ policy = "timeo', "corten.toml"),
    "a wrong number": (table("a", TIMEOUT.format(seconds=-1)), "pipelines.a.policies[0].seconds: wrong value"),
    "an unknown key": (table("a", TIMEOUT.format(seconds=2)) + "[shutdown]\ndeadlin = 1\n", 'expected "deadline"'),
    "another section": (table("a", TIMEOUT.format(seconds=2)) + '[tasks]\nwindow = "x"\n', "tasks.window"),
    "no policies": ("[flags]\nnew = true\n", "the code uses this pipeline"),
    "no such profile": ('[pipelines.a]\nextends = "htp"\n', "did you mean 'http'"),
    "policies that don't fit a function": (
        table("a", TIMEOUT.format(seconds=2)) + table("b", LIMIT.format(rate=1, burst=1)[:-2] + ', key = "user" }'),
        "user",
    ),
    "not TOML": ("\x00", "corten.toml"),
}


@pytest.mark.parametrize("name", BAD)
async def test_wrong_settings_change_nothing_and_say_why(
    folder: Folder, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write(table("a", TIMEOUT.format(seconds=1)), table("b", TIMEOUT.format(seconds=1)), "[flags]\nnew = false")
    async with folder.app("a", "b") as app:
        app.pipelines["b"](nothing)
        keep = app.pipelines["b"](fails)
        text, words = BAD[name]
        folder.write(text if "[pipelines.b]" in text else text + table("b", TIMEOUT.format(seconds=2)))
        if name == "not TOML":
            folder.file.write_bytes(b"\xff\xfe")
        with pytest.raises(SettingsError) as raised:
            await app.reload()
        assert words in str(raised.value)
        assert [app.pipelines[each].policies for each in ("a", "b")] == [(Timeout(1.0),), (Timeout(1.0),)]
        assert not app.flags.is_enabled("new")
        (event,) = folder.told
        assert isinstance(event, SettingsRejected)
        assert any(words in problem for problem in event.problems)
        statistics = app.reload_statistics()
        assert (statistics.applied, statistics.rejected, statistics.problems) == (0, 1, event.problems)
        assert value(app, "corten_settings_valid") == 0
        assert value(app, "corten_settings_reloads", outcome="rejected") == 1
        with pytest.raises(OSError, match="away"):
            await keep()
    assert "settings are wrong and change nothing" in caplog.text


async def test_right_settings_after_wrong_ones_make_all_well(folder: Folder) -> None:
    good = table("a", TIMEOUT.format(seconds=1))
    folder.write(good)
    async with folder.app("a") as app:
        folder.write("[pip")
        with pytest.raises(SettingsError):
            await app.reload()
        folder.write(good)
        await app.reload()
        assert app.reload_statistics().problems == ()
        assert value(app, "corten_settings_valid") == 1


@pytest.mark.parametrize("which", ["file", "dotenv"])
async def test_a_file_that_is_gone_changes_nothing(folder: Folder, which: str) -> None:
    folder.write("[flags]\nnew = true")
    folder.dotenv.write_text("CORTEN_FLAGS__OTHER=on\n")
    async with folder.app() as app:
        folder.remove(which)
        with pytest.raises(SettingsError, match="is gone; expected the file"):
            await app.reload()
        assert app.flags.is_enabled("new")
        assert app.flags.is_enabled("other")


async def test_the_default_file_may_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = App("x", autoload=False)
    async with app:
        other = tmp_path / "elsewhere"
        other.mkdir()
        (tmp_path / "corten.toml").write_text("[flags]\nnew = true")
        monkeypatch.chdir(other)
        assert (await app.reload()).changed == ("flags.new",)


async def test_an_app_without_a_file_reads_the_rest_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with App("x", config=None, autoload=False) as app:
        monkeypatch.setenv("CORTEN_FLAGS__NEW", "on")
        assert (await app.reload()).changed == ("flags.new",)


async def test_only_a_running_app_reads_its_settings_again(folder: Folder) -> None:
    folder.write("")
    app = folder.app()
    with pytest.raises(CortenError, match="'x' is new: settings are read again while it runs"):
        await app.reload()
    async with app:
        pass
    with pytest.raises(CortenError, match="is stopped"):
        await app.reload()


async def test_concurrent_reloads_run_one_after_the_other(folder: Folder) -> None:
    folder.write(table("a", TIMEOUT.format(seconds=1)))
    async with folder.app("a") as app:
        async with anyio.create_task_group() as group:
            for number in range(2, 30):
                folder.write(table("a", TIMEOUT.format(seconds=number)))
                group.start_soon(app.reload)
        assert app.pipelines["a"].policies == (Timeout(29.0),)
        assert app.reload_statistics().applied == 28


async def test_a_subscriber_that_fails_does_not_disturb(folder: Folder) -> None:
    folder.write("")
    async with folder.app() as app:

        def fail(_: object) -> None:
            raise RuntimeError("mine")

        app.events.subscribe(fail)
        await app.reload()
        assert app.reload_statistics().applied == 1


async def test_a_cancelled_reload_changes_all_or_nothing_and_the_next_one_works(folder: Folder) -> None:
    folder.write(table("a", TIMEOUT.format(seconds=1)))
    async with folder.app("a") as app:
        folder.write(table("a", TIMEOUT.format(seconds=2)))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await app.reload()
        assert app.pipelines["a"].policies in ((Timeout(1.0),), (Timeout(2.0),))
        await app.reload()
        assert app.pipelines["a"].policies == (Timeout(2.0),)


KINDS: dict[str, tuple[str, str, str]] = {
    "a limit": ("rate_limit", 'rate = "1/s", burst = 4', 'rate = "9/s", burst = 9'),
    "a limit by key": ("rate_limit", 'rate = "1/s", burst = 4, key = "user"', 'rate = "9/s", burst = 9, key = "user"'),
    "a window": (
        "rate_limit",
        'rate = "4/s", algorithm = "sliding_window"',
        'rate = "9/s", algorithm = "sliding_window"',
    ),
    "a breaker": ("circuit_breaker", "failures = 3", "failures = 9"),
    "a breaker by rate": ("circuit_breaker", "failure_rate = 0.9, window = 20", "failure_rate = 0.8, window = 40"),
    "a breaker by name": ("circuit_breaker", 'failures = 3, name = "one"', 'failures = 9, name = "one"'),
    "a bulkhead": ("bulkhead", "max_concurrent = 3", "max_concurrent = 9"),
    "an adaptive limit": ("adaptive_limit", "initial = 5", "initial = 9"),
    "a cache": ("cache", 'ttl = "1m", key = ["user"]', 'ttl = "2m", key = ["user"]'),
    "a retry": ("retry", "max_attempts = 2, budget = { ratio = 0.1 }", "max_attempts = 3, budget = { ratio = 0.5 }"),
    "a timeout": ("timeout", "seconds = 1", "seconds = 9"),
    "a fallback": ("fallback", "value = 7", "value = 9"),
    "a hedge": ("hedge", 'delay = "1s"', 'delay = "2s"'),
    "chaos": ("chaos", "latency_rate = 0.0", "latency_rate = 0.0, seed = 9"),
}
"""Policies: kind, fields, other fields."""


@pytest.mark.parametrize("kind", KINDS)
async def test_no_kind_of_policy_is_touched_by_settings_that_are_rejected(folder: Folder, kind: str) -> None:
    word, *fields = KINDS[kind]
    before, after = (table("a", f'{{ policy = "{word}", {each} }}') for each in fields)
    good, bad = table("b", TIMEOUT.format(seconds=1)), table("b", LIMIT.format(rate=1, burst=1)[:-2] + ', key = "no" }')
    folder.write(before, good)
    async with folder.app("a", "b", arguments={"chaos.allowed": True}) as app:
        pipeline = app.pipelines["a"]

        @pipeline
        async def work(user: int) -> int:
            if user == 13:
                raise ConnectionError("away")
            return user

        unused = app.pipelines["b"](nothing)
        async with anyio.create_task_group() as group:  # a retry waits

            async def use(user: int) -> None:
                with suppress(ConnectionError):
                    await work(user)

            for user in (1, 1, 2, 13):
                group.start_soon(use, user)
            await folder.clock.advance(5)
        seen = pipeline.statistics()
        policies = pipeline.policies
        folder.write(after, bad)
        with pytest.raises(SettingsError, match="counts by 'no'"):
            await app.reload()
        assert pipeline.statistics() == seen
        assert pipeline.policies == policies
        folder.write(after, good)
        assert (await app.reload()).changed == ("pipelines.a.policies",)
        assert pipeline.policies != policies
        assert await work(3) == 3
        assert await unused() == 1
        assert pipeline.statistics().calls == seen.calls + 1


async def test_a_breakers_window_is_kept(folder: Folder) -> None:
    window = '{{ policy = "circuit_breaker", failure_rate = {rate}, window = 10, min_calls = 5 }}'
    folder.write(table("a", window.format(rate=0.9)))
    async with folder.app("a") as app:
        pipeline = app.pipelines["a"]
        for call in (nothing, fails, nothing, fails):
            with suppress(OSError):
                await pipeline.call(call)
        folder.write(table("a", window.format(rate=0.6)))
        await app.reload()
        (breaker,) = pipeline.statistics().breakers
        assert (breaker.calls, breaker.failed) == (4, 2)
        with pytest.raises(OSError, match="away"):
            await pipeline.call(fails)
        assert pipeline.breakers[0].state == "open"


async def test_policies_that_change_under_a_thousand_calls_lose_no_place_and_no_count(folder: Folder) -> None:
    bulkhead = '{{ policy = "bulkhead", max_concurrent = {places}, max_waiting = 2000 }}'

    def page(number: int) -> str:
        return table(
            "a",
            LIMIT.format(rate=10_000 + number, burst=2000),
            BREAKER.format(failures=1000 + number, wait=1),
            bulkhead.format(places=1 + number % 7),
            *([TIMEOUT.format(seconds=50 + number)] if number % 2 else []),
        )

    folder.write(page(0))
    async with folder.app("a") as app:
        pipeline = app.pipelines["a"]
        done = 0

        async def work() -> None:
            await folder.clock.sleep(0.01)

        async def call() -> None:
            nonlocal done
            await pipeline.call(work)
            done += 1

        async with anyio.create_task_group() as group:
            for number in range(1, 21):
                for _ in range(50):
                    group.start_soon(call)
                folder.write(page(number))
                await app.reload()
                await folder.clock.advance(0.02)
            await folder.clock.advance(20)
        statistics = pipeline.statistics()
        assert done == statistics.successes == statistics.calls == 1000
        assert statistics.bulkheads[0].running == statistics.bulkheads[0].waiting == 0


async def test_ten_thousand_waiters_get_the_places_of_the_new_settings(folder: Folder) -> None:
    page = '{{ policy = "bulkhead", max_concurrent = {}, max_waiting = 10000 }}'
    folder.write(table("a", page.format(1)))
    async with folder.app("a") as app:
        pipeline, go = app.pipelines["a"], anyio.Event()
        done = 0

        async def call() -> None:
            nonlocal done
            await pipeline.call(go.wait)
            done += 1

        async with anyio.create_task_group() as group:
            for _ in range(10_000):
                group.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            assert pipeline.statistics().bulkheads[0].waiting == 9_999
            folder.write(table("a", page.format(10_000)))
            await app.reload()
            await anyio.wait_all_tasks_blocked()
            assert pipeline.statistics().bulkheads[0].running == 10_000
            go.set()
        assert done == pipeline.statistics().successes == 10_000
        assert pipeline.statistics().bulkheads[0].running == 0


async def test_a_reload_cancelled_at_any_turn_does_not_harm_the_next(folder: Folder) -> None:
    folder.write(table("a", TIMEOUT.format(seconds=1)))
    async with folder.app("a") as app:
        for turns in range(40):
            folder.write(table("a", TIMEOUT.format(seconds=2 + turns)))
            async with anyio.create_task_group() as group:
                group.start_soon(app.reload)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            with anyio.fail_after(10):
                await app.reload()
            assert app.pipelines["a"].policies == (Timeout(2.0 + turns),)


async def test_a_request_during_the_start_is_served_when_the_app_runs(folder: Folder) -> None:
    folder.write("[flags]\nnew = false")
    app = folder.app()

    @asynccontextmanager
    async def opened(_: object) -> AsyncGenerator[Folder]:
        folder.write("[flags]\nnew = true")
        internals_of(app).life.reloader.request()
        yield folder

    app.add(Resource(Folder, opened))
    async with app:
        await until(lambda: app.flags.is_enabled("new"))


# -- requests


async def test_a_requested_reload_logs_its_problems(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    folder.write("[flags]\nnew = false")
    async with folder.app() as app:
        await anyio.wait_all_tasks_blocked()
        folder.write("[fl")
        internals_of(app).life.reloader.request()
        await until(lambda: app.reload_statistics().rejected == 1)
        folder.write("[flags]\nnew = true")
        internals_of(app).life.reloader.request()
        await until(lambda: app.flags.is_enabled("new"))
    assert "settings are wrong and change nothing" in caplog.text


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await anyio.lowlevel.checkpoint()


# -- logs, and the extra `reload`


async def test_level_and_format_of_logs_follow_where_the_app_has_set_them_up(folder: Folder) -> None:
    from corten.app.lifecycle.run import logging_set_up

    root = logging.getLogger()
    handlers = root.handlers[:]
    folder.write('[logs]\nlevel = "warning"\nformat = "json"')
    app = folder.app()
    app.load()
    try:
        root.handlers[:] = []
        with logging_set_up(app):
            async with app:
                assert root.level == logging.WARNING
                folder.write('[logs]\nlevel = "error"\nformat = "console"')
                assert (await app.reload()).changed == ("logs.level", "logs.format")
                assert root.level == logging.ERROR
                assert type(root.handlers[0].formatter).__name__ == "ConsoleFormatter"
        assert root.handlers == []
    finally:
        root.handlers[:] = handlers


async def test_watching_without_watchfiles_is_a_problem_with_the_pip_line(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corten.app.settings.reload.can_watch", lambda: False)
    folder.write("[reload]\nwatch = true")
    with pytest.raises(SettingsError, match=r"reload.watch: .*pip install 'corten\[reload\]'"):
        async with folder.app():
            pytest.fail("must not start")


def test_a_time_to_settle_that_makes_no_sense_is_refused(folder: Folder) -> None:
    folder.write('[reload]\nsettle = "0s"')
    with pytest.raises(SettingsError, match="settle is 0 s; expected a time from 10ms to 1m"):
        folder.app().load()


async def test_policies_in_code_are_not_changed_by_settings_of_other_pipelines(folder: Folder) -> None:
    folder.write("")
    app = folder.app()
    pipeline = app.add(Pipeline("a", CircuitBreaker(), RateLimit("5/s")))
    async with app:
        folder.write("[flags]\nnew = true")
        await app.reload()
        assert pipeline.policies == (CircuitBreaker(), RateLimit("5/s"))
