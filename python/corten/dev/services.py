"""Dev services: real servers from plugins, for sections of the settings without an address."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic

import msgspec

from corten.errors import CortenError, ResourceUnavailable
from corten.plugins.descriptions import DevService
from corten.settings import Sourced

FOLDER = Path(".corten") / "dev"
"""Where the servers keep their data, in the project's folder; delete it to begin anew."""


class StartedService(msgspec.Struct, frozen=True):
    """A dev service that is up."""

    name: str
    section: str
    folder: Path
    settings: Mapping[str, object]
    """The settings that lead to it, as its section has them."""
    seconds: float
    """How long it took to start."""

    @property
    def arguments(self) -> dict[str, Sourced]:
        """The same as arguments of an App."""
        source = f"{self.name}, started by corten dev"
        return {f"{self.section}.{field}": Sourced(value, source) for field, value in self.settings.items()}


@asynccontextmanager
async def dev_services(
    services: Sequence[DevService],
    *,
    environment: str,
    is_active: Callable[[str], bool] = lambda _section: False,
    folder: Path = FOLDER,
    starting: Callable[[DevService], object] = lambda _service: None,
) -> AsyncGenerator[Sequence[StartedService], None]:
    """Start the services whose sections name no address, and stop them in reverse when the block ends.

    :param environment: must be ``development``
    :param is_active: whether a section has an address already
    :param folder: the parent of a data folder for each section
    :param starting: called with each service before it starts
    :raises CortenError: the environment is not development
    :raises ResourceUnavailable: a server is not installed, with the pip line, or does not start
    """
    if environment != "development":
        raise CortenError(
            f"dev services are for development and this is {environment}: set the addresses of the servers instead"
        )
    wanted: dict[str, DevService] = {}
    for service in services:
        if not is_active(service.section):
            wanted.setdefault(service.section, service)
    lines = {service.name: line for service in wanted.values() if (line := service.missing()) is not None}
    if lines:
        # All at once: nobody wants to install them one by one.
        listed = "\n".join(f"  {name}: {line}" for name, line in lines.items())
        raise ResourceUnavailable(f"dev services are not installed; install them or set the addresses:\n{listed}")
    async with AsyncExitStack() as stack:
        started: list[StartedService] = []
        for section, service in wanted.items():
            own = _own_folder(folder, section)
            starting(service)
            began = monotonic()
            settings = await stack.enter_async_context(service.start(own))
            started.append(StartedService(service.name, section, own, dict(settings), monotonic() - began))
        yield started


def _own_folder(folder: Path, section: str) -> Path:
    own = folder.absolute() / section
    own.mkdir(parents=True, exist_ok=True)
    ignored = folder / ".gitignore"
    if not ignored.exists():
        ignored.write_text("# Data of dev services; they are made anew when it is gone.\n*\n")
    return own
