"""The parts of an App that its users do not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corten.app.app import App
    from corten.app.components import Components
    from corten.app.lifecycle.lifecycle import Lifecycle
    from corten.app.settings.loading import AppSettings
    from corten.plugins.loading import Plugins


class AppInternals:
    """The parts on which the command, the lifecycle and tests work."""

    def __init__(self, components: Components, settings: AppSettings, life: Lifecycle) -> None:
        self.components = components
        """Everything that code added to the App."""
        self.settings = settings
        self.life = life

    @property
    def plugins(self) -> Plugins:
        """The plugins, in the order in which their hooks are called."""
        return self.settings.plugins


def internals_of(app: App[Any]) -> AppInternals:
    """Return the parts of an App that its users do not see."""
    return app._internals  # pyright: ignore[reportPrivateUsage]
