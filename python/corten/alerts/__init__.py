"""Rules over metrics and health checks, and the alerts that they raise."""

from corten.alerts.alerts import Alert, Alerts, AlertSink, AlertsStatistics
from corten.alerts.rule import AlertRule, HealthRule
from corten.events import AlertState, Severity

__all__ = ["Alert", "AlertRule", "AlertSink", "AlertState", "Alerts", "AlertsStatistics", "HealthRule", "Severity"]
