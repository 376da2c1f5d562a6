"""What tests of services and plugins need."""

from corten.testing.cancellation import cancel_at_each_await
from corten.testing.chaos import allow_chaos
from corten.testing.clock import FakeClock
from corten.testing.conformance import check_plugin
from corten.testing.policies import breaker_state, no_policies, only_first_attempt
from corten.testing.script import After, Script

__all__ = [
    "After",
    "FakeClock",
    "Script",
    "allow_chaos",
    "breaker_state",
    "cancel_at_each_await",
    "check_plugin",
    "no_policies",
    "only_first_attempt",
]
