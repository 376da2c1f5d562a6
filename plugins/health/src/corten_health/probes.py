"""The probes as pages of the operations server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from corten.health import Health, Probe, Report
from corten.plugins import Reply, Request, Route

_PAGES: tuple[tuple[str, Probe | None, str], ...] = (
    ("/livez", "live", "Would a restart help? 503 says yes"),
    ("/readyz", "ready", "Should traffic be sent here? 503 says no"),
    ("/startupz", "startup", "Has it started? 503 says not yet"),
    ("/health", None, "Every check, with its finding"),
)


def probe_routes(health: Health) -> list[Route]:
    """Return the pages, which answer 503 if the probe fails, else 200."""
    return [Route(path, _page(health, probe), summary=summary) for path, probe, summary in _PAGES]


def _page(health: Health, probe: Probe | None) -> Callable[[Request], Awaitable[Reply]]:
    async def answer(request: Request) -> Reply:
        report = await health.run(probe)
        verbose = probe is None or request.query.get("verbose", "false").lower() not in ("false", "0", "no")
        return Reply(report.json() if verbose else _brief(report), status=200 if report.passed else 503)

    return answer


def _brief(report: Report) -> bytes:
    """Encode the statuses alone, without details that may be confidential."""
    checks = {name: found.status for name, found in report.checks.items()}
    return msgspec.json.encode({"status": report.status, "checks": checks})
