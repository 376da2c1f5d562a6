"""A real OpenTelemetry Collector, built by Go: takes OTLP over HTTP, writes what it received as JSON lines.

Run as a program, ``python tests/servers/otelcol.py install`` only builds it: a minute or two, the first time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pytest

from tests.servers.process import ServerProcess, wait_until

RECIPE = Path(__file__).parent / "otelcol_modules" / "builder.yaml"

Signal = Literal["traces", "metrics", "logs"]


def cache_folder() -> Path:
    """Where installed servers are kept: outside the checkout, so that a fresh clone finds them."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "corten-test-servers"


def install() -> Path:
    """The collector's program, built the first time; its folder has the hash of the recipe in its name.

    :raises RuntimeError: Go is missing, or the build fails
    """
    recipe = RECIPE.read_text()
    folder = cache_folder() / f"otelcol-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    program = folder / "otelcol"
    if program.exists():
        return program
    if shutil.which("go") is None:
        raise RuntimeError("the OpenTelemetry Collector is built with Go: apt-get install golang, or https://go.dev/dl")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "otelcol.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            part = Path(tempfile.mkdtemp(prefix="otelcol-", dir=folder.parent))
            try:
                _build(recipe, part)
                (part / "ready").rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return program


def _build(recipe: str, folder: Path) -> None:
    """Have the builder write the program's source, and compile it to ``ready/otelcol``."""
    found = re.search(r"^ *version: *(\S+)", recipe, re.MULTILINE)
    assert found is not None, f"no version in {RECIPE}"
    version = found[1]
    source = folder / "source"
    (folder / "builder.yaml").write_text(recipe.replace("dist:\n", f"dist:\n  output_path: {source}\n"))
    builder = f"go.opentelemetry.io/collector/cmd/builder@v{version}"
    _go(folder, "run", builder, "--config", "builder.yaml", "--skip-compilation", "--skip-get-modules")
    # The builder would run `go mod tidy`, which wants modules that only tests of modules need: name ours instead.
    if not (source / "go.mod").exists():
        _go(source, "mod", "init", "otelcol")
    wanted = re.findall(r"gomod: *(\S+) (v\S+)", recipe)
    wanted.append(("go.opentelemetry.io/collector/otelcol", f"v{version}"))
    _go(source, "mod", "edit", *(f"-require={module}@{at}" for module, at in wanted))
    (folder / "ready").mkdir()
    output = folder / "ready" / "otelcol"
    _go(source, "build", "-mod=mod", "-trimpath", "-ldflags=-s -w", "-o", str(output), ".")


def _go(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
    done = subprocess.run(["go", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"go {' '.join(arguments[:2])} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")


class CollectorServer(ServerProcess):
    """A collector of its own; what it received is read back with :meth:`received`."""

    name = "otelcol"

    @property
    def endpoint(self) -> str:
        """Where OTLP over HTTP is taken; exporters add ``/v1/traces`` and the like."""
        return f"http://{self.host}:{self.port}"

    def command(self) -> Sequence[str]:
        signals: tuple[Signal, ...] = ("traces", "metrics", "logs")
        files = {f"file/{each}": {"path": str(self._file(each)), "flush_interval": "50ms"} for each in signals}
        pipelines = {each: {"receivers": ["otlp"], "exporters": [f"file/{each}"]} for each in signals}
        configuration = {  # JSON is YAML
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"{self.host}:{self.port}"}}}},
            "exporters": files,
            "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": pipelines},
        }
        path = self.folder / "otelcol.yaml"
        path.write_text(json.dumps(configuration))
        return [str(install()), "--config", str(path)]

    def answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1.0).close()
        except OSError:
            return False
        return True

    def start(self, limit: float = 300.0) -> CollectorServer:
        """Start it; the limit leaves room for the first build."""
        install()
        return super().start(limit)

    def stop(self, how: signal.Signals = signal.SIGINT, limit: float = 20.0) -> None:
        """End it; SIGINT has it write what it still holds."""
        super().stop(how, limit)

    def received(self, what: Signal) -> list[dict[str, Any]]:
        """What came until now: one OTLP/JSON object for each request."""
        path = self._file(what)
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def spans(self) -> list[dict[str, Any]]:
        """Every span that came, each with ``resource`` and ``scope`` beside its own fields."""
        return self._flat("traces", "resourceSpans", "scopeSpans", "spans")

    def records(self) -> list[dict[str, Any]]:
        """Every log record that came."""
        return self._flat("logs", "resourceLogs", "scopeLogs", "logRecords")

    def metrics(self) -> dict[str, dict[str, Any]]:
        """The last version of every metric that came, by name."""
        return {each["name"]: each for each in self._flat("metrics", "resourceMetrics", "scopeMetrics", "metrics")}

    def wait_for(self, what: Signal, count: int = 1, limit: float = 10.0) -> None:
        """Poll until so many spans, metrics or records have come."""
        read = {"traces": self.spans, "metrics": self.metrics, "logs": self.records}[what]
        wait_until(lambda: len(read()) >= count, limit, what=f"{count} {what} in the collector")

    def _flat(self, what: Signal, resources: str, scopes: str, items: str) -> list[dict[str, Any]]:
        return [
            {**item, "resource": attributes(resource["resource"]), "scope": scope["scope"].get("name", "")}
            for request in self.received(what)
            for resource in request[resources]
            for scope in resource[scopes]
            for item in scope[items]
        ]

    def _file(self, what: Signal) -> Path:
        return self.folder / f"{what}.json"


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    """OTLP/JSON attributes as a plain dict; integers, which come as text, as integers."""
    plain: dict[str, Any] = {}
    for each in holder.get("attributes", ()):
        ((kind, value),) = each["value"].items()
        plain[each["key"]] = int(value) if kind == "intValue" else value
    return plain


@pytest.fixture
def collector() -> Iterator[CollectorServer]:
    """A collector that has received nothing yet, and that a test may kill."""
    with CollectorServer() as server:
        yield server


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: otelcol.py install")
    install()
