"""Shows settings without their secrets."""
