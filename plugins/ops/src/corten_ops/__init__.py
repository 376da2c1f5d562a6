"""The operations server: an HTTP port with the pages of all plugins."""

from corten_ops.ops import Ops, OpsStatistics
from corten_ops.plugin import OpsPlugin
from corten_ops.settings import OpsSettings

__all__ = ["Ops", "OpsPlugin", "OpsSettings", "OpsStatistics"]
