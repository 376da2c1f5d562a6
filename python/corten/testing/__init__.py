"""Tools for tests of services and plugins."""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names

if TYPE_CHECKING:
    from corten.testing.cancellation import cancel_at_each_await
    from corten.testing.chaos import allow_chaos
    from corten.testing.clock import FakeClock
    from corten.testing.conformance import check_plugin
    from corten.testing.messages import MemoryBroker
    from corten.testing.policies import breaker_state, no_policies, only_first_attempt
    from corten.testing.script import After, Script

__all__ = [
    "After",
    "FakeClock",
    "MemoryBroker",
    "Script",
    "allow_chaos",
    "breaker_state",
    "cancel_at_each_await",
    "check_plugin",
    "no_policies",
    "only_first_attempt",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "corten.testing.cancellation": ("cancel_at_each_await",),
        "corten.testing.chaos": ("allow_chaos",),
        "corten.testing.clock": ("FakeClock",),
        "corten.testing.conformance": ("check_plugin",),
        "corten.testing.messages": ("MemoryBroker",),
        "corten.testing.policies": ("breaker_state", "no_policies", "only_first_attempt"),
        "corten.testing.script": ("After", "Script"),
    },
)
