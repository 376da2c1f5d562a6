"""The in-process cache (L1) and what a shared tier (L2) offers."""
