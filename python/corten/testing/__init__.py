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
        "After": "corten.testing.script",
        "FakeClock": "corten.testing.clock",
        "MemoryBroker": "corten.testing.messages",
        "Script": "corten.testing.script",
        "allow_chaos": "corten.testing.chaos",
        "breaker_state": "corten.testing.policies",
        "cancel_at_each_await": "corten.testing.cancellation",
        "check_plugin": "corten.testing.conformance",
        "no_policies": "corten.testing.policies",
        "only_first_attempt": "corten.testing.policies",
    },
)
