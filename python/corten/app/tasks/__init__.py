"""The tasks of an App: supervised, scheduled, consuming, exporting."""
