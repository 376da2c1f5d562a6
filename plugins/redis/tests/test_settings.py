"""The settings, and addresses as people see them."""

from __future__ import annotations

import pytest

from corten.secrets import Secret
from corten.settings import load
from corten_redis import RedisSettings
from corten_redis.plugin import SECTION


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:canary@cache:6380/1", "cache:6380"),
        ("rediss://ann:canary@cache", "cache:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("redis://[::1", "?"),
    ],
)
def test_an_address_never_shows_the_password(url: str, address: str) -> None:
    settings = RedisSettings(url=Secret(url))
    assert settings.address() == address
    assert "canary" not in repr(settings)


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(ValueError, match="url must begin with one of redis://, rediss://, unix://"):
        RedisSettings(url=Secret("http://cache"))


def test_environment_names_of_other_systems_are_understood() -> None:
    environ = {"REDIS_URL": "redis://cache:6379/0", "REDIS_MAX_CONNECTIONS": "20"}
    settings = load([SECTION], file=None, environ=environ, secrets=None, arguments=None)
    mine = settings.section("redis")["default"]
    assert isinstance(mine, RedisSettings)
    assert (mine.address(), mine.max_connections) == ("cache:6379", 20)
