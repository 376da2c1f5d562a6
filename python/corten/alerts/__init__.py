"""Rules over metrics and health that raise and clear alerts."""
