"""What tests of services and plugins need."""

from corten.testing.cancellation import cancel_at_each_await
from corten.testing.clock import FakeClock
from corten.testing.conformance import check_plugin

__all__ = ["FakeClock", "cancel_at_each_await", "check_plugin"]
