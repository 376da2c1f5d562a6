"""A probe as an exit code."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from corten.dev import free_port


class Ops(BaseHTTPRequestHandler):
    """Answers like the ops server."""

    asked: list[tuple[str, str | None]]
    answers: dict[str, tuple[int, bytes]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        status, body = self.answers[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    Ops.asked = []
    checks = {"db": {"status": "down", "message": "away"}, "disk": {"status": "up"}, "queue": "degraded"}
    down = json.dumps({"status": "down", "checks": checks})
    Ops.answers = {
        "/livez": (200, b'{"status": "up", "checks": {}}'),
        "/readyz": (503, down.encode()),
        "/startupz": (404, b"<html>"),
    }
    with HTTPServer(("127.0.0.1", 0), Ops) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_up_is_0_and_down_is_1_with_the_reason(project, server) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    up = project.corten("health", "--probe", "live", "--url", url)
    assert (up.exit_code, up.output) == (0, "live: up\n")
    down = project.corten("health", "--url", url + "/")
    assert (down.exit_code, down.output) == (1, "ready: down (db: away; queue: degraded)\n")
    odd = project.corten("health", "--probe", "startup", "--url", url)
    assert (odd.exit_code, odd.output) == (1, "startup: down (HTTP status 404)\n")
    assert [path for path, _ in Ops.asked] == ["/livez", "/readyz", "/startupz"]


def test_the_address_and_token_come_from_the_settings(project, server) -> None:
    project.settings(f"[ops]\nhost = '0.0.0.0'\nport = {server.server_port}\nother = 1\n[whatever]\nx = 1\n")
    result = project.corten("health", "--probe", "live", environ={"CORTEN_OPS__TOKEN": "hunter2"})
    assert result.exit_code == 0
    assert Ops.asked == [("/livez", "Bearer hunter2")]
    assert "hunter2" not in result.output


def test_json_has_the_whole_answer(project, server) -> None:
    answer = project.json("health", "--url", f"http://127.0.0.1:{server.server_port}")
    assert (answer["up"], answer["status"], answer["probe"]) == (False, 503, "ready")
    assert answer["body"]["checks"]["db"] == {"status": "down", "message": "away"}


def test_nobody_there_is_down(project) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = project.corten("health", "--url", url)
    assert result.exit_code == 1
    assert result.output == f"ready: down (no answer from {url}/readyz: Connection refused)\n"


@pytest.mark.parametrize(
    "arguments", [["--url", "ftp://x"], ["--url", "http://h:port"], ["--timeout", "soon"], ["--probe", "x"]]
)
def test_questions_without_sense_are_usage_errors(project, arguments: list[str]) -> None:
    assert project.corten("health", *arguments).exit_code == 2


def test_settings_that_cannot_be_read_are_told(project) -> None:
    project.settings("[ops\n")
    result = project.corten("health")
    assert result.exit_code == 2
    assert "not valid TOML" in result.stderr
