"""The service chassis for async Python."""
