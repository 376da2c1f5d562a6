"""Several policies together: the union of all, profiles, and warnings about odd orders."""
