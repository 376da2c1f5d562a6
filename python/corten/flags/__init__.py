"""Feature flags with percentage rollout."""
