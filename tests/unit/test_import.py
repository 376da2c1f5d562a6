"""Modules that `import corten` loads, and modules that it leaves for later."""

from __future__ import annotations

import subprocess
import sys

import pytest

import corten

EDGES = frozenset(
    {
        "asyncpg",
        "click",
        "confluent_kafka",
        "dotenv",
        "matplotlib",
        "opentelemetry",
        "prometheus_client",
        "redis",
        "rich",
        "starlette",
        "trio",
        "uvicorn",
        "uvloop",
        "watchfiles",
    }
)
"""Drivers, servers and terminal libraries, which importing the library never loads."""

LATER = frozenset({"asyncio", "difflib", "hashlib", "importlib.metadata", "json", "pluggy", "ssl", "tomllib"})
"""Slow to import, and needed only by running code: event loop, entry points, settings file."""

AS_USERS_DO = "from corten import App, Pipeline, RateLimit; App('users')"


def loaded_by(program: str) -> frozenset[str]:
    """Return the modules that a program has loaded, run in a new process."""
    # Isolated from .pth files and variables of this machine, but with the paths of this process.
    program = f"import sys; sys.path[:] = {sys.path!r}\n{program}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", program], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("program", ["import corten", "from corten import *", AS_USERS_DO])
def test_importing_loads_no_driver_server_or_terminal(program: str) -> None:
    assert not loaded_by(program) & EDGES


def test_the_library_alone_loads_none_of_its_rooms() -> None:
    assert {name for name in loaded_by("import corten") if name.startswith("corten.")} == {"corten._lazy"}


def test_making_an_app_does_not_load_modules_of_a_running_one() -> None:
    assert not loaded_by(AS_USERS_DO) & LATER


NOT_USED = (
    "corten.alerts.measure.",
    "corten.app.settings.reload.",
    "corten.app.tasks.schedule.",
    "corten.app.settings.watching.",
    "corten.logs.json_format.",
    "corten.messages.commit_tracking.",
    "corten.messages.runner.",
    "corten.pipeline.controls.cache.",
    "corten.pipeline.blocks.generators.",
    "corten.pipeline.blocks.guard.",
    "corten.pipeline.layers.cache.",
    "corten.pipeline.layers.chaos.",
    "corten.pipeline.layers.middleware.",
    "corten.pipeline.layers.hedge.",
    "corten.pipeline.layers.rate_limit.",
    "corten.pipeline.stages.circuit_breaker.",
    "corten.settings.loading.",
)
"""Modules that a program with a rate limit and retries never needs."""


def test_policies_and_faces_that_a_program_does_not_use_are_not_loaded() -> None:
    loaded = loaded_by(
        "from corten import App, Pipeline, RateLimit, Retry\n"
        "app = App('users')\n"
        "@app.pipeline('users', Retry(3), RateLimit('5/s'))\n"
        "async def load(user: int) -> int: return user"
    )
    assert {"corten.pipeline.stages.rate_limit", "corten.pipeline.stages.retry"} <= loaded
    assert not {name for name in loaded if f"{name}.".startswith(NOT_USED)}


def test_a_policy_is_loaded_when_a_pipeline_first_has_it() -> None:
    loaded = loaded_by("from corten import Cache, Pipeline; Pipeline('users', Cache(60))")
    assert "corten.pipeline.layers.cache" in loaded
    assert "corten.pipeline.layers.hedge" not in loaded


def test_policies_load_neither_the_app_nor_the_plugins() -> None:
    loaded = loaded_by("from corten import RateLimit")
    assert "corten.policies.rate_limit" in loaded
    assert not {name for name in loaded if name.startswith(("corten.app", "corten.messages", "corten.plugins"))}


@pytest.mark.parametrize("name", corten.__all__)
def test_every_public_name_is_found_where_it_is_defined(name: str) -> None:
    value = getattr(corten, name)
    assert value.__name__ == name
    assert value is getattr(sys.modules[value.__module__], name)


def test_a_name_is_looked_up_once() -> None:
    assert corten.Pipeline is corten.Pipeline
    assert "Pipeline" in vars(corten)


def test_star_import_and_dir_have_exactly_the_public_names() -> None:
    starred: dict[str, object] = {}
    exec("from corten import *", starred)
    assert set(starred) - {"__builtins__"} == set(corten.__all__) <= set(dir(corten))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'corten' has no attribute 'Ap'"):
        corten.Ap  # noqa: B018 - the access is tested
