"""The monitor as a process: real addresses, a real mail server, settings that are changed while it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.servers.process import wait_until

from corten.dev import free_port

pytest.importorskip("watchfiles")

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

MONITOR = Path(__file__).parents[2] / "examples" / "monitor"

PAGES: dict[str, object] = {
    "/search": [{"id": "t1", "text": "a tweet"}],
    "/feed.json": {"items": [{"id": "n1", "title": "some news"}, {"id": "n2", "title": "more news"}]},
}


class Pages(BaseHTTPRequestHandler):
    """Answers with what is in ``PAGES``, else 503."""

    def do_GET(self) -> None:
        found = PAGES.get(self.path)
        self.send_response(503 if found is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: object) -> None: ...


class Mails(socketserver.StreamRequestHandler):
    """Takes every mail."""

    received: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    text += part
                self.received.append(text.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
            if word == b"QUIT":
                return


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_finds_keeps_mails_counts_and_follows_its_settings(tmp_path: Path) -> None:
    for file in MONITOR.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    settings = tmp_path / "corten.toml"
    port = free_port()
    Mails.received.clear()
    with (
        serving(ThreadingHTTPServer(("127.0.0.1", 0), Pages)) as pages,
        serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mails)) as mails,
    ):
        address = f"http://127.0.0.1:{pages}"
        environ = {
            "CORTEN_APP__TWITTER": f"{address}/search",
            "CORTEN_APP__FEEDS": f"{address}/feed.json,{address}/away.json",
            "CORTEN_APP__MAIL_SERVER": f"127.0.0.1:{mails}",
            "CORTEN_APP__MAIL_TO": "team@example.org",
            "CORTEN_APP__PORT": str(port),
            "CORTEN_PLUGINS__AUTOLOAD": "false",
        }
        output = tmp_path / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "service.py"], cwd=tmp_path, env={**os.environ, **environ}, stdout=file, stderr=file
            )

        def get(path: str) -> Any:
            assert process.poll() is None, output.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
                    return json.loads(reply.read())
            except OSError:
                return None

        try:
            wait_until(lambda: len(Mails.received) == 3, 30)
            assert {each["id"] for each in get("/events")} == {"t1", "n1", "n2"}
            assert "Message-ID: <t1@monitor>" in "".join(Mails.received)
            report = get("/report")
            assert report["state"] == "running"
            assert report["health"]["checks"]["services"]["status"] == "up"
            assert report["pipelines"]["email_service"]["successes"] == 3
            assert report["pipelines"]["news_feeds"]["breakers"][0]["state"] == "closed"
            # The one that is away is asked again and again, and then comes by the error handler.
            wait_until(lambda: get("/report")["pipelines"]["news_feeds"]["retries"] > 0, 30)

            before = settings.read_text()
            settings.write_text(before.replace('rate = "100/s", burst = 200', 'rate = "1/s", burst = 1'))
            wait_until(lambda: get("/report")["settings"]["applied"] == 1, 30)
            while get("/events") is not None:  # three at most: a second has one token now
                pass
            assert get("/report")["pipelines"]["api_endpoints"]["refused"] == {"rate_limit": 1}
            for _ in range(10):
                get("/events")
            wait_until(lambda: get("/report")["health"]["checks"]["services"]["status"] == "degraded", 30)
            assert "busy: api_endpoints" in get("/report")["health"]["checks"]["services"]["message"]
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
    assert code == 0, output.read_text()
    assert "Traceback" not in output.read_text()
