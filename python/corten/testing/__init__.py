"""What tests of services and plugins need."""

from corten.testing.clock import FakeClock

__all__ = ["FakeClock"]
