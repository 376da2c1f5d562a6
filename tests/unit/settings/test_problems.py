"""Everything that is wrong is reported at once, with its place, its value and what would be right."""

import builtins
from dataclasses import dataclass

import msgspec
import pytest

from corten.errors import SettingsError
from corten.secrets import Secret
from corten.settings import Section

TEN_PLACES = """\
environment = "staging"
unknown = 1

[postgres]
dsn = "postgres://u:p@h/db"
max_size = 0
timeout = "five"
memory = "64 apples"
max_sise = 3

[postgres.tls]
verify = "perhaps"

[pipelines.users]
policies = [
  { policy = "cache", ttl = "5 parsecs" },
  { policy = "retri" },
]

[app]
level = 1.5
"""


def problems(load, *args, **kwargs):
    with pytest.raises(SettingsError) as raised:
        load(*args, **kwargs)
    return {problem.path: problem for problem in raised.value.problems}


def test_ten_wrong_places_are_ten_problems(loader) -> None:
    found = problems(loader, TEN_PLACES, environ={"CORTEN_POSTGRES__MIN_SIZE": "one"})
    assert set(found) == {
        "environment",
        "unknown",
        "postgres.max_size",
        "postgres.timeout",
        "postgres.memory",
        "postgres.max_sise",
        "postgres.tls.verify",
        "postgres.min_size",
        "pipelines.users.policies[0].ttl",
        "pipelines.users.policies[1].policy",
        "app.level",
    }
    file = loader.file
    assert {path: problem.source for path, problem in found.items()} == {
        "environment": f"{file}:1",
        "unknown": f"{file}:2",
        "postgres.max_size": f"{file}:6",
        "postgres.timeout": f"{file}:7",
        "postgres.memory": f"{file}:8",
        "postgres.max_sise": f"{file}:9",
        "postgres.tls.verify": f"{file}:12",
        "postgres.min_size": "environment CORTEN_POSTGRES__MIN_SIZE",
        "pipelines.users.policies[0].ttl": f"{file}:16",
        "pipelines.users.policies[1].policy": f"{file}:17",
        "app.level": f"{file}:21",
    }


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (
            "environment = 'x'",
            'environment: wrong value (is "x"); expected one of "production", "development"  [{file}:1]',
        ),
        ("[app]\nlevel = true", "app.level: wrong value (is true); expected a whole number  [{file}:2]"),
        ("[app]\nlevel = '5'", 'app.level: wrong value (is "5"); expected a whole number  [{file}:2]'),
        ("[app]\nlevel = [1, 2]", "app.level: wrong value (is a list of 2); expected a whole number  [{file}:2]"),
        ("[app.level]\nx = 1", "app.level: wrong value (is a table); expected a whole number  [{file}:1]"),
        ("app = 5", "app: wrong value (is 5); expected a table  [{file}:1]"),
        ("[app]\nlevle = 5", 'app.levle: unknown key; expected "level"  [{file}:2]'),
        ("[app]\nzzz = 5", "app.zzz: unknown key; expected one of greeting, level  [{file}:2]"),
        ("[ap]\nlevel = 5", 'ap: unknown section; expected "app"  [{file}:1]'),
        (
            "[redis]\n",
            "redis: unknown section; expected its plugin, which is not loaded: pip install 'corten[redis]'  [{file}:1]",
        ),
        ("[postgres]\ndsn = 5", "postgres.dsn: wrong value (is <secret>); expected text  [{file}:2]"),
        (
            "[postgres]\ndsn = 'x'\nmax_size = -1",
            "postgres.max_size: out of bounds (is -1); expected a whole number of at least 1  [{file}:3]",
        ),
        ("[postgres]\ndsn = 'x'\nmin_size = 99", "postgres: min_size 99 is above max_size 10  [{file}:1]"),
        (
            "[postgres.tls]\nfiles = 'a'",
            'postgres.tls.files: wrong value (is "a"); expected a list of texts  [{file}:2]',
        ),
        ("[postgres.tls]\nfiles = ['a', 5]", "postgres.tls.files[1]: wrong value (is 5); expected text  [{file}:2]"),
        (
            "[pipelines.a]\npolicies = [{}]",
            'pipelines.a.policies[0].policy: missing; expected one of "cache", "retry", "rate_limit"  [{file}:2]',
        ),
        (
            "[pipelines.a]\npolicies = [{policy = 'rate_limit'}]",
            'pipelines.a.policies[0].rate: missing; expected a rate such as "100/s", "5/min" or "10/30s"  [{file}:2]',
        ),
    ],
)
def test_a_problem_says_what_is_wrong_and_what_would_be_right(loader, toml: str, line: str) -> None:
    (problem,) = problems(loader, toml).values()
    assert str(problem) == line.format(file=loader.file)


def test_a_missing_field_names_the_variable_that_would_set_it(loader) -> None:
    class Needed(msgspec.Struct):
        host_name: str

    (problem,) = problems(loader, sections=[Section("mail", Needed)]).values()
    assert str(problem) == "mail.host_name: missing; expected text, there or as CORTEN_MAIL__HOST_NAME"


def test_a_missing_field_of_a_second_instance_is_reported_there(loader) -> None:
    toml = "[postgres]\ndsn = 'x'\n[postgres.reporting]\ndsn = 'y'\nmin_size = 'a'\n[postgres.broken]\ndsn = 4"
    found = problems(loader, toml)
    assert set(found) == {"postgres.reporting.min_size", "postgres.broken.dsn"}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"[app]\nlevel = = 5", "2:9"),
        (b"[app\n", "1:5"),
        (b"a = [1,\n2", "2"),
        (b"[app]\ngreeting = '\xff'", "2"),
    ],
)
def test_a_malformed_file_is_one_problem_with_its_place(loader, content: bytes, place: str) -> None:
    loader.file.write_bytes(content)
    (problem,) = problems(loader).values()
    assert problem.source == f"{loader.file}:{place}"


def test_nothing_is_called_missing_because_the_file_could_not_be_read(loader) -> None:
    found = problems(loader, "[postgres]\ndsn = ", environ={"CORTEN_APP__LEVEL": "x"})
    assert set(found) == {str(loader.file), "app.level"}


def test_a_file_that_is_a_folder_is_a_problem(loader) -> None:
    loader.file.mkdir()
    (problem,) = problems(loader).values()
    assert "cannot be read: Is a directory" in str(problem)


def test_wrong_values_of_the_environment_are_named_by_variable(loader) -> None:
    found = problems(
        loader,
        environ={
            "CORTEN_APP__LEVEL": "high",
            "CORTEN_POSTGRES__TLS__VERIFY": "maybe",
            "CORTEN_POSTGRES__LABELS": "a",
            "CORTEN_PIPELINES__A__POLICIES": "[{]",
            "CORTEN_POSTGRES__TIMEOUT": "",
        },
    )
    assert {path: str(problem.source).removeprefix("environment CORTEN_") for path, problem in found.items()} == {
        "app.level": "APP__LEVEL",
        "postgres.tls.verify": "POSTGRES__TLS__VERIFY",
        "postgres.labels": "POSTGRES__LABELS",
        "pipelines.a.policies": "PIPELINES__A__POLICIES",
        "postgres.timeout": "POSTGRES__TIMEOUT",
    }


def test_unknown_variables_warn_and_name_the_nearest(loader) -> None:
    settings = loader(environ={"CORTEN_PORT": "tcp://10.0.0.1:80", "CORTEN_APP__LEVLE": "5", "HOME": "/"})
    assert settings.warnings == (
        "environment CORTEN_PORT is not a setting of this app",
        "environment CORTEN_APP__LEVLE is not a setting of this app; was CORTEN_APP__LEVEL meant?",
    )


def test_what_is_not_utf8_or_not_printable_in_the_environment_is_told_in_plain_characters(loader) -> None:
    found = problems(loader, environ={"CORTEN_APP__GREETING": "a\udcff", "CORTEN_POSTGRES__DSN": "b\udcff"})
    assert str(found["app.greeting"]) == (
        'app.greeting: not UTF-8 (is "a\\udcff"); expected text  [environment CORTEN_APP__GREETING]'
    )
    assert found["postgres.dsn"].value == "<secret>"
    (warning,) = loader(environ={"CORTEN_\x1b[31m\udcff\nX": "1"}).warnings
    assert warning == r"environment CORTEN_\x1b[31m\udcff\nX is not a setting of this app"


def test_unknown_names_in_a_dotenv_file_are_problems(loader) -> None:
    loader.dotenv.write_text("# ours\nPATH=/bin\nCORTEN_APP__LEVLE=5\nthis is no line\n")
    found = problems(loader)
    assert str(found["CORTEN_APP__LEVLE"]) == (
        f"CORTEN_APP__LEVLE: unknown setting; expected CORTEN_APP__LEVEL  [{loader.dotenv}:3 CORTEN_APP__LEVLE]"
    )
    assert found[str(loader.dotenv)].source == f"{loader.dotenv}:4"


def test_a_dotenv_file_without_python_dotenv_is_a_problem_with_the_pip_line(loader, monkeypatch) -> None:
    real = builtins.__import__

    def without_dotenv(name, *args, **kwargs):
        if name.startswith("dotenv"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_dotenv)
    assert loader().section("app")["default"].level == 0
    loader.dotenv.write_text("CORTEN_APP__LEVEL=5")
    (problem,) = problems(loader).values()
    assert "pip install 'corten[dotenv]'" in str(problem)


def test_arguments_that_nobody_knows_are_problems(loader) -> None:
    found = problems(loader, arguments={"app.levle": 5, "nonsense.x": 1})
    assert found["app.levle"].source == "arguments"
    assert set(found) == {"app.levle", "nonsense"}


def test_what_post_init_says_is_a_problem_at_the_table_without_secrets(loader) -> None:
    class Login(msgspec.Struct):
        user: str
        password: Secret

        def __post_init__(self) -> None:
            raise ValueError(f"{self.password.reveal()} is too simple for {self.user}")

    (problem,) = problems(
        loader, "[login]\nuser = 'u'\npassword = 'hunter2'", sections=[Section("login", Login)]
    ).values()
    assert str(problem) == f"login: <secret> is too simple for u  [{loader.file}:1]"


def test_wrong_values_under_names_of_secrets_are_not_shown(loader) -> None:
    class Plain(msgspec.Struct):
        api_key: int
        url: int
        keys: list[Secret] = []

    toml = "[plain]\napi_key = 'hunter2'\nurl = 'https://u:hunter2@h'\nkeys = [5, {a = 'hunter2'}]"
    found = problems(loader, toml, sections=[Section("plain", Plain)])
    assert len(found) == 4
    assert "hunter2" not in "".join(map(str, found.values()))


def test_secret_files_are_never_shown_even_where_the_field_is_no_secret(loader) -> None:
    loader.secret("app__level", "hunter2")
    (problem,) = problems(loader).values()
    assert (
        str(problem)
        == f"app.level: wrong value (is <secret>); expected a whole number  [secret {loader.secrets}/app__level]"
    )


def test_types_that_are_not_structs_are_checked_too(loader) -> None:
    @dataclass
    class Point:
        x: int

    class Shape(msgspec.Struct):
        at: Point
        pair: tuple[int, str] = (1, "a")
        both: dict[str, list[int]] = {}

    sections = [Section("shape", Shape)]
    made = loader("[shape]\nat = {x = 1}\npair = [2, 'b']\nboth = {a = [1]}", sections=sections).section("shape")[
        "default"
    ]
    assert (made.at.x, made.pair, made.both) == (1, (2, "b"), {"a": [1]})
    found = problems(loader, "[shape]\nat = {x = 'a'}\npair = [2]\nboth = {a = ['x']}", sections=sections)
    assert set(found) == {"shape.at.x", "shape.pair", "shape.both.a[0]"}


def test_two_sections_of_one_name_are_the_callers_mistake(loader) -> None:
    with pytest.raises(ValueError, match="two sections"):
        loader(sections=[Section("a", msgspec.Struct), Section("a", msgspec.Struct)])
