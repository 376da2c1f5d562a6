"""Real servers for tests and benches: 127.0.0.1, a free port, a temporary folder, ended by their process ids."""
