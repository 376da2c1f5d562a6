"""Addresses in settings, of whatever form."""

import pytest

from corten.cli.addresses import parse_addresses


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("postgres://u:p@h:5433/db", [("h", 5433)]),
        ("postgresql://h/db", [("h", 5432)]),
        ("postgresql://u@a,b:5433/db", [("a", 5432), ("b", 5433)]),
        ("postgresql:///db?host=/run/postgresql", [("/run/postgresql", 0)]),
        ("host=h port=5433 password='x y'", [("h", 5433)]),
        ("rediss://[::1]:6380/0", [("::1", 6380)]),
        ("redis://h", [("h", 6379)]),
        ("unix:///run/redis.sock?db=1", [("/run/redis.sock", 0)]),
        ("k1:9092, k2:9093", [("k1", 9092), ("k2", 9093)]),
        ("http://collector:4318/v1/traces", [("collector", 4318)]),
        ("", []),
        ("dbname=x", []),
        ("http://[broken", []),
    ],
)
def test_hosts_and_ports_are_found(text: str, found: list[tuple[str, int]]) -> None:
    assert list(parse_addresses(text)) == found
