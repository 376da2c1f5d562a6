"""Real servers for development, started where no address is set."""
