"""Feature flags from the settings, also for a share of users."""

from corten.flags.flags import Flags, FlagState, Rollout

__all__ = ["FlagState", "Flags", "Rollout"]
