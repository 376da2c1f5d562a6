"""A settings file, an environment and a secrets folder of the test's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from corten.secrets import Secret
from corten.settings import Duration, Rate, Section, Settings, Size, load


class CachePolicy(msgspec.Struct, frozen=True, tag="cache", tag_field="policy"):
    ttl: Duration = 60.0


class RetryPolicy(msgspec.Struct, frozen=True, tag="retry", tag_field="policy"):
    max_attempts: int = 3
    wait: Duration | None = None


class RateLimitPolicy(msgspec.Struct, frozen=True, tag="rate_limit", tag_field="policy"):
    rate: Rate
    burst: int | None = None


class PipelineTable(msgspec.Struct, frozen=True):
    policies: list[CachePolicy | RetryPolicy | RateLimitPolicy] = []


class Top(msgspec.Struct, frozen=True):
    environment: Literal["production", "development"] = "production"
    pipelines: dict[str, PipelineTable] = {}


class Tls(msgspec.Struct, frozen=True):
    verify: bool = True
    files: list[str] = []


class Postgres(msgspec.Struct, frozen=True):
    dsn: Secret
    min_size: int = 1
    max_size: Annotated[int, msgspec.Meta(ge=1)] = 10
    timeout: Duration = 5.0
    memory: Size = 1 << 20
    tls: Tls = Tls()
    labels: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.min_size > self.max_size:
            raise ValueError(f"min_size {self.min_size} is above max_size {self.max_size}")


class Own(msgspec.Struct, frozen=True):
    greeting: str = "hello"
    level: int = 0


SECTIONS = (
    Section("", Top),
    Section("postgres", Postgres, instances=True, aliases={"DATABASE_URL": "dsn"}, activated_by=("dsn",)),
    Section("app", Own),
)


class Loader:
    """Writes sources and loads them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "corten.toml"
        self.dotenv = folder / ".env"
        self.secrets = folder / "secrets"

    def secret(self, name: str, value: str | bytes) -> None:
        self.secrets.mkdir(exist_ok=True)
        (self.secrets / name).write_bytes(value if isinstance(value, bytes) else value.encode())

    def __call__(
        self,
        toml: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        arguments: Mapping[str, object] | None = None,
        sections: Sequence[Section] = SECTIONS,
        ignore_unknown: bool = False,
    ) -> Settings:
        if toml is not None:
            self.file.write_text(toml)
        return load(
            sections,
            file=self.file if self.file.exists() else None,
            environ=environ or {},
            secrets=self.secrets,
            arguments=arguments,
            dotenv=self.dotenv,
            ignore_unknown=ignore_unknown,
        )


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path)
