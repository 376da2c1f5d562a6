"""The page ``/metrics``: the registry in the reader's format."""

from __future__ import annotations

from corten.metrics import Registry
from corten.plugins import Reply, Request

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def metrics_reply(registry: Registry, request: Request) -> Reply:
    """Return OpenMetrics if the reader accepts it, else Prometheus' text format 0.0.4."""
    rendered = registry.render()
    if prefers_openmetrics(request.headers.get("accept", "")):
        return Reply(rendered.encode(), content_type=OPENMETRICS)
    return Reply(as_text(rendered).encode(), content_type=TEXT)


def prefers_openmetrics(accept: str) -> bool:
    """Whether an Accept header prefers OpenMetrics to plain text (RFC 9110, 12.5.1)."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for item in accept.split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        given = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weight = float(given)
        except ValueError:
            continue
        if media in weights:
            weights[media] = max(weights[media], weight)
    return weights["application/openmetrics-text"] > 0 and (
        weights["application/openmetrics-text"] >= weights["text/plain"]
    )


def as_text(openmetrics: str) -> str:
    """Convert OpenMetrics text to format 0.0.4: counters keep their suffix; units and the end go.

    https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    lines: list[str] = []
    counters: set[str] = set()
    for line in openmetrics.splitlines():
        if not line.startswith("# "):
            lines.append(line)
            continue
        _, word, *rest = line.split(" ", 3)
        if word == "TYPE" and rest[1] == "counter":
            counters.add(rest[0])
        if word in ("TYPE", "HELP"):
            lines.append(line)
    for index, line in enumerate(lines):
        if line.startswith(("# TYPE ", "# HELP ")):
            mark, word, name, *rest = line.split(" ", 3)
            if name in counters:
                name += "_total"
            text = rest[0] if rest else ""
            lines[index] = f"{mark} {word} {name} {_help(text) if word == 'HELP' else text}".rstrip()
    return "\n".join(lines) + "\n"


def _help(text: str) -> str:
    """Unescape the quotes of a description, which format 0.0.4 does not escape."""
    return text.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\\\")
