"""Servers for development and tests, started on this machine and ended with the program."""

from corten.dev.app_servers import app_servers, wanted_services
from corten.dev.process import GuardedProcess, free_port, guarded_process
from corten.dev.services import StartedService, dev_services

__all__ = [
    "GuardedProcess",
    "StartedService",
    "app_servers",
    "dev_services",
    "free_port",
    "guarded_process",
    "wanted_services",
]
