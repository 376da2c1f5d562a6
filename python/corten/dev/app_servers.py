"""Dev services for the sections of an App's settings that name no address."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal

from corten.app import App
from corten.app.internals import internals_of
from corten.dev.services import FOLDER, StartedService, dev_services
from corten.errors import SettingsError
from corten.plugins import DevService
from corten.settings import Sourced


@contextmanager
def app_servers(
    app: App[Any], *, folder: Path = FOLDER, starting: Callable[[DevService], object] = lambda _service: None
) -> Generator[Sequence[StartedService], None, None]:
    """Start servers for sections without an address, and set their addresses; stop them at the end of the block.

    The App's environment becomes development. It must not have loaded its settings yet; run it inside the block.

    :param folder: where the servers keep their data
    :param starting: called with each service before it starts
    :raises ResourceUnavailable: a server is not installed, with the pip line, or does not start
    """
    app.configure(arguments={"environment": Sourced("development", "corten dev")})
    services = dev_services(wanted_services(app), environment="development", folder=folder, starting=starting)
    # In a loop of its own, in another thread: the App owns the main thread, its signals and its choice of loop.
    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(services) as started:
        for each in started:
            app.configure(arguments=each.arguments)
        yield started


def wanted_services(app: App[Any]) -> list[DevService]:
    """Return the dev services whose sections name no address."""
    internals = internals_of(app)
    sections = {section.name: section for section in internals.settings.sections()}
    wanted: list[DevService] = []
    for _plugin, service in internals.plugins.each("corten_dev_services", DevService):
        section = sections.get(service.section)
        if section is None:
            continue
        try:
            active = internals.settings.sources.load([section], ignore_unknown=True).is_active(section.name)
        except SettingsError:
            active = True  # whatever is wrong is told, with all else, when the App loads its settings
        if not active:
            wanted.append(service)
    return wanted
