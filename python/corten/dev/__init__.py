"""Servers for development and tests, started on this machine and ended with the program."""

from corten.dev.process import GuardedProcess, free_port, guarded_process
from corten.dev.services import StartedService, dev_services

__all__ = ["GuardedProcess", "StartedService", "dev_services", "free_port", "guarded_process"]
