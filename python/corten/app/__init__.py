"""The composition root: settings, plugins, resources and tasks with one lifecycle."""
