"""The page ``/``: the state of the App, and the list of pages."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from corten.health import Report
from corten.pipeline import Pipeline
from corten.plugins import Reply, Route

if TYPE_CHECKING:
    from corten.app import App

_STYLE = """
:root { color-scheme: light dark; --edge: #8883; }
:root { --quiet: #6b7280; --up: #15803d; --degraded: #b45309; --down: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --quiet: #9ca3af; --up: #4ade80; --degraded: #fbbf24; --down: #f87171; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0 0; color: var(--quiet); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem 1rem .35rem 0; border-bottom: 1px solid var(--edge); }
th { color: var(--quiet); font-weight: 500; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td { overflow-wrap: anywhere; }
td:first-child, th { overflow-wrap: normal; white-space: nowrap; }
code, a { font-family: ui-monospace, monospace; font-size: .95em; }
.up, .closed, .running { color: var(--up); }
.degraded, .half_open, .starting, .stopping { color: var(--degraded); }
.down, .open, .forced_open, .failed { color: var(--down); }
.scroll { overflow-x: auto; }
"""

_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The page's policy: only its own style."""


def index_page(app: App[Any], report: Report, routes: Sequence[Route]) -> Reply:
    """Make the page with name, state, checks, pipelines and pages of an App."""
    title = f"{escape(app.name)} · operations"
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(app.name)}</h1>",
        f"<p>{_mark(app.state)} · checks {_mark(report.status)} · environment {escape(app.environment)}</p>",
    ]
    checks = (
        (escape(name), _mark(found.status), escape(found.message), f"{found.seconds * 1000:.1f} ms")
        for name, found in report.checks.items()
    )
    parts += _table("Checks", ("Name", "Status", "Finding", "#Took"), checks)
    parts += _table(
        "Pipelines",
        ("Name", "Policies", "Breaker", "#Calls", "#Errors", "#Timeouts", "#Refused"),
        (_pipeline(name, pipeline) for name, pipeline in sorted(app.pipelines.items())),
    )
    pages = ((route.method, _link(route), escape(route.summary)) for route in routes)
    parts += _table("Pages", ("Method", "Path", "Answers"), pages)
    return Reply("".join([*parts, "</body></html>"]).encode(), content_type="text/html; charset=utf-8")


def _pipeline(name: str, pipeline: Pipeline) -> tuple[str, ...]:
    figures = pipeline.statistics()
    policies = " &gt; ".join(escape(policy.kind) for policy in pipeline.policies)
    return (
        escape(name),
        f"<code>{policies}</code>",
        ", ".join(_mark(breaker.state) for breaker in figures.breakers) or "none",
        f"{figures.calls:,}",
        f"{figures.errors:,}",
        f"{figures.timeouts:,}",
        f"{sum(figures.refused.values()):,}",
    )


def _mark(word: str) -> str:
    return f'<span class="{escape(word)}">{escape(word.replace("_", " "))}</span>'


def _link(route: Route) -> str:
    path = escape(route.path)
    return f'<a href="{path}">{path}</a>' if route.method == "GET" else f"<code>{path}</code>"


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Make a table of HTML cells, or nothing without rows; ``#`` begins the head of a number column."""
    body = "".join(
        "<tr>" + "".join(_cell("td", head, cell) for head, cell in zip(heads, row, strict=True)) + "</tr>"
        for row in rows
    )
    if not body:
        return []
    head = "".join(_cell("th", each, each.lstrip("#")) for each in heads)
    return [
        f'<h2>{title}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    ]


def _cell(tag: str, head: str, content: str) -> str:
    return f'<{tag} class="number">{content}</{tag}>' if head.startswith("#") else f"<{tag}>{content}</{tag}>"
