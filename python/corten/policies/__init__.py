"""The resilience rules as frozen data."""
