"""The pages over real HTTP: probes, metrics in two formats, the index, and what plugins show."""

from __future__ import annotations

import logging
import shutil
import subprocess

import anyio.to_thread
import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from corten.app import App
from corten.errors import PluginError, ResourceUnavailable
from corten.health import Check, Finding
from corten.plugins import Reply, Request, Route, Task
from corten_ops import Ops, OpsPlugin
from corten_ops.index import POLICY
from corten_ops.metrics_page import as_text, prefers_openmetrics

from .conftest import Pages, make

pytestmark = pytest.mark.anyio


def client(app: App[None]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=app.get(Ops).url, trust_env=False)


async def test_probes_answer_on_a_port_of_their_own() -> None:
    app = make()
    async with app, client(app) as http:
        for page in ("/livez", "/readyz", "/startupz", "/health"):
            reply = await http.get(page)
            assert (reply.status_code, reply.json()["status"]) == (200, "up"), page
            assert reply.headers["content-type"] == "application/json"
        assert (await http.head("/readyz")).status_code == 200
    with pytest.raises(ResourceUnavailable, match="closed its resources"):
        _ = app.get(Ops).url


async def test_a_check_that_is_down_fails_readiness_only() -> None:
    app = make()

    async def away() -> Finding:
        return Finding("down", "away")

    app.health.add(Check("database", away))
    async with app, client(app) as http:
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/readyz?verbose")).json()["checks"]["database"]["message"] == "away"
        assert (await http.get("/livez")).status_code == 200


async def test_while_the_app_drains_it_is_alive_and_not_ready() -> None:
    app = make()
    seen: dict[str, int] = {}
    running = anyio.Event()

    async def work() -> None:
        running.set()
        await anyio.sleep_forever()

    async def drain() -> None:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            for page in ("/readyz", "/livez"):
                seen[page] = (await http.get(page)).status_code
        raise RuntimeError("drained")

    app.add(Task("work", work, stop=drain))
    with pytest.raises(ExceptionGroup):
        async with app:
            url = app.get(Ops).url
            await running.wait()
    assert seen == {"/readyz": 503, "/livez": 200}


async def test_metrics_are_openmetrics_where_asked_for_and_text_elsewhere() -> None:
    app = make()
    app.registry.counter("orders", 'Orders, "all" of them', attributes=("kind",)).add(3, kind='a"b\\c\nd')
    app.registry.histogram("wait", "How long", "seconds", bounds=(0.1, 1.0)).record(0.5)
    async with app, client(app) as http:
        reply = await http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        families = {family.name: family for family in parse_openmetrics(reply.text)}
        assert families["orders"].samples[0].value == 3
        assert families["orders"].samples[0].labels == {"kind": 'a"b\\c\nd'}
        assert families["corten_process_cpu_seconds"].type == "counter"
        reply = await http.get("/metrics")
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        texts = {family.name: family for family in parse_text(reply.text)}
        assert texts["orders"].samples[0].labels == {"kind": 'a"b\\c\nd'}
        assert texts["orders"].documentation == 'Orders, "all" of them'
        assert {s.name: s.value for s in texts["wait_seconds"].samples if s.name.endswith("_count")} == {
            "wait_seconds_count": 1
        }
        assert set(families) == set(texts)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
async def test_promtool_reads_the_text() -> None:
    app = make()
    async with app, client(app) as http:
        await http.get("/livez")
        text = (await http.get("/metrics")).text
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=20)
    )
    assert "error while linting" not in done.stderr
    assert done.returncode in (0, 3), done.stdout + done.stderr  # 3: advice on names
    assert "corten_ops_requests" in text


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1", True),
        ("text/plain;q=1, application/openmetrics-text;q=0.5", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=x", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_the_heavier_format_of_the_accept_header_wins(accept: str, openmetrics: bool) -> None:
    assert prefers_openmetrics(accept) is openmetrics


def test_text_has_no_units_and_no_end() -> None:
    assert as_text(
        "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds b\na_seconds_total 1\n# EOF\n"
    ) == ("# TYPE a_seconds_total counter\n# HELP a_seconds_total b\na_seconds_total 1\n")


async def test_the_index_names_what_there_is_and_escapes_it() -> None:
    from corten import CircuitBreaker, Pipeline

    app = make(Pages(Route("/x", lambda _: None, summary="<b>bold</b>")))  # type: ignore[arg-type, return-value]
    app.name = "<script>alert(1)</script>"
    app.add(Pipeline("rates", CircuitBreaker(failures=3)))
    async with app, client(app) as http:
        reply = await http.get("/")
    assert reply.headers["content-security-policy"] == POLICY
    assert "<script" not in reply.text
    assert "&lt;script&gt;" in reply.text
    assert "&lt;b&gt;bold" in reply.text
    assert '<span class="closed">closed</span>' in reply.text
    for words in ("/readyz", "/metrics", "rates", "circuit_breaker", "app.ready"):
        assert words in reply.text


async def test_pages_of_plugins_are_served_and_their_errors_say_nothing_internal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[Request] = []

    async def echo(request: Request) -> Reply:
        asked.append(request)
        return Reply(request.body or b"{}", status=201)

    async def broken(_: Request) -> Reply:
        raise RuntimeError("password=hunter2")

    app = make(Pages(Route("/echo", echo), Route("/echo", echo, method="POST"), Route("/broken", broken)))
    async with app, client(app) as http:
        await http.get("/echo?a=1&b", headers={"authorization": "Bearer secret", "x-other": "y"})
        assert asked[0].query == {"a": "1", "b": ""}
        assert asked[0].headers["x-other"] == "y"
        assert "authorization" not in asked[0].headers
        assert (await http.post("/echo", json={"a": 1})).json() == {"a": 1}
        with caplog.at_level(logging.ERROR, "corten.ops"):
            reply = await http.get("/broken")
        assert (reply.status_code, reply.json()) == (500, {"error": "this page failed; the log says why"})
        assert "RuntimeError" in caplog.text
        assert (await http.get("/nowhere")).status_code == 404
        assert (await http.post("/livez", json={})).status_code == 405
        figures = app.get(Ops).statistics()
        assert (figures.requests, figures.refused, figures.errors) == (5, 0, 1)


async def test_a_page_that_two_plugins_claim_stops_the_app_and_names_the_second() -> None:
    async def page(_: Request) -> Reply:
        return Reply(b"")

    app = make(Pages(Route("/livez", page)))
    with pytest.raises((PluginError, ExceptionGroup)) as caught:
        async with app:
            pass
    assert "/livez is claimed by plugin" in _words(caught.value)


async def test_a_path_that_is_none_is_refused() -> None:
    async def page(_: Request) -> Reply:
        return Reply(b"")

    with pytest.raises((PluginError, ExceptionGroup)) as caught:
        async with make(Pages(Route("/a/{b}", page))):
            pass
    assert "expected one such as /livez" in _words(caught.value)


async def test_a_port_in_use_is_one_error_that_says_what_to_do() -> None:
    async with make() as first:
        port = int(first.get(Ops).url.rpartition(":")[2])
        with pytest.raises(ResourceUnavailable) as caught:
            async with make(ops__port=port):
                pass
    assert f"port {port} of 127.0.0.1 is in use" in str(caught.value)


async def test_two_apps_have_a_server_each() -> None:
    first, second = make(), make()
    async with first, second:
        assert first.get(Ops).url != second.get(Ops).url


def test_on_trio_the_app_refuses_to_start_and_says_why() -> None:
    import anyio

    async def start() -> None:
        async with App("tested", plugins=[OpsPlugin], autoload=False, config=None):
            pass

    with pytest.raises((PluginError, ExceptionGroup)) as caught:
        anyio.run(start, backend="trio")
    assert "asyncio" in _words(caught.value)


def _words(error: BaseException) -> str:
    return "; ".join(map(_words, error.exceptions)) if isinstance(error, BaseExceptionGroup) else str(error)
