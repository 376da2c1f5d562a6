"""Checks and the probes that group them."""

from corten.health.check import Check, Finding, Probe, Status
from corten.health.health import Health, HealthStatistics
from corten.health.report import CheckReport, Report

__all__ = ["Check", "CheckReport", "Finding", "Health", "HealthStatistics", "Probe", "Report", "Status"]
