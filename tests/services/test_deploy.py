"""What `docker-compose.yml` and `deploy/` say, checked by the tools that will read it: there is no Docker here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.servers import otelcol
from tests.servers.process import free_port, wait_until

from corten.app.settings.settings import OWN_SECTIONS
from corten.settings import Section, load

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LONG_LIVED = ("postgres", "redis", "kafka", "flights", "nginx", "otelcol", "prometheus", "grafana")


def run(*command: str | Path, **options: Any) -> str:
    """Run a tool; its whole output is the message where it fails."""
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True, **options)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "service.json").read_text())
    return document


# -- compose


def test_every_server_has_a_health_check_limits_and_reservations(compose: dict[str, Any]) -> None:
    for name in LONG_LIVED:
        service = compose["services"][name]
        assert service["restart"] == "unless-stopped", name
        assert {"limits", "reservations"} <= set(service["deploy"]["resources"]), name
        assert "healthcheck" in service or name == "otelcol", name  # whose image has nothing to ask with


def test_the_start_order_waits_for_health_and_for_the_tables(compose: dict[str, Any]) -> None:
    services = compose["services"]
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert waits["prepare"] == {"postgres": "service_healthy", "kafka": "service_healthy"}
    assert waits["flights"]["prepare"] == "service_completed_successfully"
    assert waits["nginx"] == {"flights": "service_healthy"}
    for name, others in waits.items():
        for other, condition in others.items():
            assert condition != "service_healthy" or "healthcheck" in services[other], f"{name} waits for {other}"


def test_names_that_are_used_are_declared(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("secrets", ())) <= set(compose["secrets"]), name
        assert set(service["networks"]) <= set(compose["networks"]), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"], volume


def test_no_secret_is_in_an_environment_and_each_is_made_by_the_script(compose: dict[str, Any], tmp_path: Path) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            secret = re.search("PASSWORD|TOKEN|SECRET", name) is not None
            assert not secret or str(value).startswith("/run/secrets/"), name
    script = shutil.copy(DEPLOY / "make-secrets", tmp_path)
    run(script)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {f"deploy/secrets/{name}" for name in made} == {each["file"] for each in compose["secrets"].values()}
    assert all(len(value) >= 24 for value in made.values())
    run(script)
    assert made == {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}


def test_what_faces_users_does_not_meet_what_keeps_data(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert not set(services["nginx"]["networks"]) & set(services["postgres"]["networks"])
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_the_service_understands_the_settings_it_is_given(compose: dict[str, Any], tmp_path: Path) -> None:
    import msgspec

    class FlightsSettings(msgspec.Struct, forbid_unknown_fields=True):
        host: str
        port: int = 8000

    sections = [
        *OWN_SECTIONS,
        Section("app", FlightsSettings),
        *(section for point in entry_points(group="corten.plugins") for section in point.load()().corten_settings()),
    ]
    service = compose["services"]["flights"]
    for secret in service["secrets"]:
        (tmp_path / secret).write_text("a-secret-of-some-length")
    settings = load(
        sections,
        file=ROOT / "examples" / "flights" / "corten.toml",
        environ=service["environment"],
        secrets=tmp_path,
        arguments=None,
    )
    assert not settings.warnings
    active = {section.name for section in sections if settings.is_active(section.name)}
    assert {"kafka", "postgres", "redis", "ops", "tracing"} <= active
    postgres: Any = settings.section("postgres")["default"]
    assert (postgres.host, postgres.password.reveal()) == ("postgres", "a-secret-of-some-length")


def test_the_grace_period_covers_the_shutdown(compose: dict[str, Any]) -> None:
    service = compose["services"]["flights"]
    drain = service["environment"]["CORTEN_SHUTDOWN__PRE_DRAIN"]
    assert int(service["stop_grace_period"].rstrip("s")) >= int(drain.rstrip("s")) + 25


def test_the_image_copies_what_there_is_and_runs_without_root() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert list(ROOT.glob(source)), source
    stages = [index for index, line in enumerate(lines) if line.startswith("FROM ")]
    assert len(stages) >= 2
    assert any(line == "USER 10001:10001" for line in lines[stages[-1] :])


# -- Prometheus


def test_prometheus_accepts_its_configuration_and_rules(tmp_path: Path) -> None:
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    token = tmp_path / "token"
    token.write_text("token")
    (tmp_path / "prometheus.yml").write_text(config.replace("/run/secrets/ops__token", str(token)))
    shutil.copy(DEPLOY / "prometheus" / "rules.yml", tmp_path)
    assert "SUCCESS" in run("promtool", "check", "config", tmp_path / "prometheus.yml")


def test_the_rules_do_what_their_tests_say() -> None:
    run("promtool", "test", "rules", "rules.test.yml", cwd=DEPLOY / "prometheus")


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 15
    for alert in alerts:
        assert {"summary", "action"} <= set(alert["annotations"]), alert["alert"]
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}


# -- Grafana


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title and expression of each query, its variables filled in."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], expression.replace("$job", "flights").replace("$pipeline", ".*")


def test_every_query_of_the_dashboard_is_one(dashboard: dict[str, Any], tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": expression} for number, (_, expression) in enumerate(queries(dashboard))
    ]
    assert len(rules) >= 10
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("promtool", "check", "rules", tmp_path / "rules.yml")


def test_every_metric_that_is_asked_for_is_one_that_we_have(dashboard: dict[str, Any]) -> None:
    asked = " ".join(expression for _, expression in queries(dashboard))
    asked += (DEPLOY / "prometheus" / "rules.yml").read_text()
    names = set(re.findall(r"(?<!:)\bcorten_\w+", asked)) - {"corten_dead_letters"}  # the table, in an alert's advice
    sources = "\n".join(
        path.read_text()
        for pattern in ("python/corten/**/*.py", "plugins/*/src/**/*.py", "rust/**/*.rs")
        for path in ROOT.glob(pattern)
    )
    missing = [name for name in sorted(names) if not _is_made(name, sources)]
    assert not missing


def _is_made(name: str, sources: str) -> bool:
    """Whether a name is in the sources: whole, or put together from a prefix and a word."""
    stem = re.sub(r"(_total|_bucket|_sum|_count)$", "", name)
    stem = re.sub(r"(_seconds|_bytes)$", "", stem)
    if f'"{stem}"' in sources:
        return True
    cuts = [cut for cut, letter in enumerate(stem, 1) if letter == "_"]
    return any(f'"{stem[:cut]}{{' in sources and f'"{stem[cut:]}"' in sources for cut in cuts)


def test_panels_do_not_overlap_and_name_the_provisioned_source(dashboard: dict[str, Any]) -> None:
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    uid = source["datasources"][0]["uid"]
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == uid


def test_the_dashboards_are_found_where_they_are_mounted(compose: dict[str, Any]) -> None:
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/corten.yaml").read_text())["providers"][0]
    mounts = dict(each.split(":")[:2] for each in compose["services"]["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]


# -- nginx


@pytest.fixture
def nginx_config() -> Iterator[tuple[Path, int, int]]:
    """The configuration with its ports and folders for this machine: file, port of nginx, port of the service."""
    with tempfile.TemporaryDirectory(prefix="corten-nginx-") as name:
        folder, port, behind = Path(name), free_port(), free_port()
        folder.chmod(0o777)
        text = (DEPLOY / "nginx" / "nginx.conf").read_text()
        text = text.replace("flights:8000", f"127.0.0.1:{behind}").replace("listen 8080", f"listen 127.0.0.1:{port}")
        text = text.replace("/tmp/", f"{folder}/").replace("/dev/stdout", f"{folder}/access.log")
        (folder / "nginx.conf").write_text(text.replace("include mime.types", "include /etc/nginx/mime.types"))
        yield folder / "nginx.conf", port, behind


def test_nginx_accepts_its_configuration(nginx_config: tuple[Path, int, int]) -> None:
    assert "test is successful" in run("nginx", "-t", "-c", nginx_config[0], "-e", "stderr")


def test_nginx_passes_on_caches_limits_and_protects(nginx_config: tuple[Path, int, int]) -> None:
    import http.client
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    config, port, behind = nginx_config
    asked: list[str] = []

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = b'{"stored": 1}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    def get(path: str) -> tuple[int, dict[str, str]]:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            link.request("GET", path)
            reply = link.getresponse()
            reply.read()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}
        finally:
            link.close()

    def answers() -> bool:
        try:
            return get("/nginx-health")[0] == 200
        except OSError:
            return False

    service = ThreadingHTTPServer(("127.0.0.1", behind), Service)
    thread = threading.Thread(target=service.serve_forever)
    thread.start()
    nginx = subprocess.Popen(["nginx", "-c", config, "-e", "stderr", "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        wait_until(answers, what="nginx")
        status, headers = get("/delays/LAX")
        assert status == 200
        assert headers["x-cache"] == "MISS"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers or "/" not in headers["server"]
        assert get("/delays/LAX")[1]["x-cache"] == "HIT"
        assert asked == ["/delays/LAX"]
        statuses = [get(f"/delays/{number}")[0] for number in range(400)]
        assert statuses.count(200) >= 200
        assert 429 in statuses
        logged = (config.parent / "access.log").read_text().splitlines()
        assert json.loads(logged[0])["status"] == 200
    finally:
        nginx.terminate()
        nginx.wait(10)
        service.shutdown()
        service.server_close()
        thread.join()


# -- the collector


def test_the_collector_accepts_its_configuration() -> None:
    run(otelcol.install(), "validate", "--config", DEPLOY / "otelcol" / "config.yaml")
