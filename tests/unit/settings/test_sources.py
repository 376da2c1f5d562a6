"""Sources win over each other in one order, and give text the types it is wanted in."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from corten.secrets import Secret
from corten.settings import Duration, Section, Size, Sourced, alias

ORDER = ("default", "file", "dotenv", "environment", "secrets", "arguments")


@pytest.mark.parametrize("present", [c for n in range(6) for c in itertools.combinations(ORDER[1:], n)], ids="-".join)
def test_the_later_source_wins(loader, present: tuple[str, ...]) -> None:
    toml = ""
    environ: dict[str, str] = {}
    arguments: dict[str, object] = {}
    for source in present:
        match source:
            case "file":
                toml = '[app]\ngreeting = "file"'
            case "dotenv":
                loader.dotenv.write_text("CORTEN_APP__GREETING=dotenv")
            case "environment":
                environ["CORTEN_APP__GREETING"] = source
            case "secrets":
                loader.secret("app__greeting", "secrets\n")
            case "arguments":
                arguments["app.greeting"] = source
    settings = loader(toml, environ=environ, arguments=arguments)
    winner = present[-1] if present else "hello"
    assert settings.section("app")["default"].greeting == winner
    (entry,) = [each for each in settings.effective() if each.path == "app.greeting"]
    assert (
        entry.source
        == {
            "hello": "default",
            "file": f"{loader.file}:2",
            "dotenv": f"{loader.dotenv}:1 CORTEN_APP__GREETING",
            "environment": "environment CORTEN_APP__GREETING",
            "secrets": f"secret {loader.secrets}/app__greeting",
            "arguments": "arguments",
        }[winner]
    )


def test_tables_merge_and_lists_are_replaced(loader) -> None:
    toml = "[postgres]\ndsn = 'x'\nmin_size = 2\n[postgres.tls]\nverify = false\nfiles = ['a', 'b']"
    toml += "\n[postgres.labels]\na = '1'"
    environ = {
        "CORTEN_POSTGRES__TLS__FILES": "c",
        "CORTEN_POSTGRES__LABELS": '{"b": "2"}',
        "CORTEN_POSTGRES__MAX_SIZE": "5",
    }
    made = loader(toml, environ=environ).section("postgres")["default"]
    assert (made.min_size, made.max_size) == (2, 5)
    assert (made.tls.verify, made.tls.files) == (False, ["c"])
    assert made.labels == {"a": "1", "b": "2"}


class Kinds(msgspec.Struct, frozen=True):
    on: bool = False
    number: int = 0
    ratio: float = 0.0
    text: str = ""
    optional: int | None = 7
    either: int | str = 0
    switch: bool | tuple[str, ...] = True
    choice: Literal["a", "b"] = "a"
    digit: Literal[1, 2] = 1
    numbers: list[int] = []
    names: frozenset[str] = frozenset()
    table: dict[str, int] = {}
    wait: Duration = 0.0
    waits: list[Duration] = []
    size: Size = 0
    secret: Secret | None = None
    path: Path = Path()


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("on", "yes", True),
        ("on", "On", True),
        ("on", "1", True),
        ("on", "off", False),
        ("on", "FALSE", False),
        ("number", "42", 42),
        ("number", " 42 ", 42),
        ("ratio", "0.5", 0.5),
        ("ratio", "1", 1.0),
        ("text", "42", "42"),
        ("text", "", ""),
        ("text", "[1]", "[1]"),
        ("text", "null", "null"),
        ("optional", "", None),
        ("optional", "null", None),
        ("optional", "3", 3),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("switch", "no", False),
        ("switch", "postgres, redis", ("postgres", "redis")),
        ("choice", "b", "b"),
        ("digit", "2", 2),
        ("numbers", "1, 2,3", [1, 2, 3]),
        ("numbers", "[4, 5]", [4, 5]),
        ("numbers", "", []),
        ("names", "x,y", frozenset({"x", "y"})),
        ("table", "a=1, b=2", {"a": 1, "b": 2}),
        ("table", '{"a": 1}', {"a": 1}),
        ("wait", "250ms", 0.25),
        ("wait", "3", 3.0),
        ("waits", "1s,2m", [1.0, 120.0]),
        ("waits", '["1s", 2]', [1.0, 2.0]),
        ("size", "64MiB", 64 << 20),
        ("secret", "p", Secret("p")),
        ("path", "/srv/data", Path("/srv/data")),
    ],
)
def test_text_becomes_what_the_type_wants(loader, field: str, text: str, value: object) -> None:
    settings = loader(environ={f"CORTEN_KINDS__{field.upper()}": text}, sections=[Section("kinds", Kinds)])
    made = getattr(settings.section("kinds")["default"], field)
    assert made == value
    assert type(made) is type(value) or isinstance(value, Path)


def test_names_of_the_environment_find_keys_whatever_their_case_and_dashes(loader) -> None:
    class Odd(msgspec.Struct, rename="kebab"):
        max_size: int = 0

    sections = [Section("my-part", Odd)]
    settings = loader(environ={"corten_my_part__MAX_SIZE": "3"}, sections=sections)
    assert settings.section("my-part")["default"].max_size == 3


def test_keys_of_the_users_own_keep_their_spelling(loader) -> None:
    toml = "[pipelines.Twitter-API]\npolicies = []"
    environ = {"CORTEN_PIPELINES__TWITTER_API__POLICIES": '[{"policy": "cache", "ttl": "5m"}]'}
    made = loader(toml, environ=environ).section("")["default"].pipelines
    assert list(made) == ["Twitter-API"]
    assert made["Twitter-API"].policies[0].ttl == 300.0


def test_second_instances_come_from_tables_and_variables(loader) -> None:
    toml = "[postgres]\ndsn = 'a'\n[postgres.reporting]\ndsn = 'b'\ntimeout = '1m'"
    environ = {"CORTEN_POSTGRES__REPORTING__MAX_SIZE": "3", "CORTEN_POSTGRES__OTHER__DSN": "c"}
    made = loader(toml, environ=environ).section("postgres")
    assert {name: (each.dsn.reveal(), each.max_size, each.timeout) for name, each in made.items()} == {
        "default": ("a", 10, 5.0),
        "reporting": ("b", 3, 60.0),
        "other": ("c", 10, 5.0),
    }


def test_a_section_without_its_address_is_inactive_and_says_so_when_it_is_set_up_otherwise(loader) -> None:
    settings = loader("")
    assert not settings.is_active("postgres")
    assert settings.section("postgres") == {}
    assert settings.warnings == ()
    settings = loader("[postgres]\nmax_size = 3")
    assert not settings.is_active("postgres")
    assert settings.warnings == (f"[postgres] ({loader.file}:1) sets no dsn, so it is not active",)


def test_a_named_instance_may_be_active_alone(loader) -> None:
    settings = loader("[postgres.reporting]\ndsn = 'b'")
    assert list(settings.section("postgres")) == ["reporting"]


def test_aliases_set_fields_and_empty_ones_set_nothing(loader) -> None:
    dsn = loader(environ={"DATABASE_URL": "x"}).section("postgres")["default"].dsn
    assert dsn == Secret("x")
    assert not loader(environ={"DATABASE_URL": ""}).is_active("postgres")


def test_a_field_may_declare_its_names_from_elsewhere_at_any_depth(loader) -> None:
    class Inner(msgspec.Struct, frozen=True):
        key: Annotated[Secret | None, alias("SECRET_KEY", "APP_SECRET")] = None

    class Outer(msgspec.Struct):
        retention: Annotated[Duration, alias("METRICS_RETENTION")] = 1.0
        inner: Inner = Inner()

    sections = [Section("app", Outer)]
    made = loader(environ={"APP_SECRET": "p", "METRICS_RETENTION": "24h"}, sections=sections).section("app")["default"]
    assert (made.retention, made.inner.key) == (86400.0, Secret("p"))
    loader.secret("SECRET_KEY", "q")
    assert loader(sections=sections).section("app")["default"].inner.key == Secret("q")


def test_a_name_that_two_settings_claim_sets_the_first_and_the_conflict_is_told(loader) -> None:
    class Plain(msgspec.Struct):
        url: str = ""

    sections = [Section(name, Plain, aliases={"SERVER_URL": "url"}) for name in ("a", "b")]
    settings = loader(environ={"SERVER_URL": "x"}, sections=sections)
    assert [settings.section(name)["default"].url for name in ("a", "b")] == ["x", ""]
    assert settings.warnings == ("SERVER_URL is claimed by a.url and b.url; it sets the first",)


def test_a_settings_own_name_wins_over_its_alias_and_the_conflict_is_told(loader) -> None:
    settings = loader(environ={"DATABASE_URL": "x", "CORTEN_POSTGRES__DSN": "y"})
    assert settings.section("postgres")["default"].dsn == Secret("y")
    assert settings.warnings == (
        "environment DATABASE_URL and environment CORTEN_POSTGRES__DSN both set postgres.dsn; the latter holds",
    )


@pytest.mark.parametrize("name", ["postgres__dsn", "CORTEN_POSTGRES__DSN", "DATABASE_URL"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_file_gives_its_content_without_the_last_newline(loader, name: str, end: str) -> None:
    loader.secret(name, "p w\n!" + end)
    assert loader().section("postgres")["default"].dsn.reveal() == "p w\n!"


def test_secrets_of_others_and_hidden_files_are_left_alone(loader) -> None:
    loader.secret("tls.key", "x")
    loader.secret("app", "y")
    loader.secret("..data", "z")
    loader.secret("CORTEN_NONSENSE", "z")
    settings = loader()
    assert settings.warnings == (f"secret {loader.secrets}/CORTEN_NONSENSE is not a setting of this app",)


def test_a_secret_may_be_bytes_that_are_no_text(loader) -> None:
    loader.secret("postgres__dsn", b"\xff\x00")
    assert loader().section("postgres")["default"].dsn.reveal_bytes() == b"\xff\x00"


def test_arguments_are_dotted_paths_or_tables_and_may_name_their_source(loader) -> None:
    arguments = {"postgres": {"max_size": 4}, "postgres.dsn": Sourced("x", "a dev service"), "app.level": "3"}
    settings = loader(arguments=arguments)
    made = settings.section("postgres")["default"]
    assert (made.max_size, settings.section("app")["default"].level) == (4, 3)
    sources = {each.path: each.source for each in settings.effective()}
    assert sources["postgres.dsn"] == "a dev service"


def test_a_dotenv_file_does_not_expand_dollars(loader) -> None:
    loader.dotenv.write_text("export CORTEN_POSTGRES__DSN='p${HOME}$x'\n")
    assert loader().section("postgres")["default"].dsn.reveal() == "p${HOME}$x"


def test_a_look_at_some_sections_ignores_the_rest(loader) -> None:
    class Few(msgspec.Struct):
        autoload: bool = True

    toml = "[plugins]\nautoload = false\n[whatever]\nx = 1"
    settings = loader(toml, environ={"CORTEN_X": "1"}, sections=[Section("plugins", Few)], ignore_unknown=True)
    assert settings.section("plugins")["default"].autoload is False
    assert settings.warnings == ()


def test_effective_settings_hide_secrets_and_write_quantities_out(loader) -> None:
    class Keys(msgspec.Struct):
        api_key: str = "hunter2"
        url: str = "https://u:hunter2@h/"
        token_ttl: Duration = 90.0
        held: dict[str, str] = {}
        many: list[Secret] = []

    toml = ["[keys.held]\npassword = 'hunter2'\n", "\nmany = ['hunter2']\n"]
    settings = loader("[keys]" + toml[1] + toml[0], sections=[Section("keys", Keys)])
    found = {each.path: (each.value, each.secret) for each in settings.effective()}
    assert found == {
        "keys.api_key": ("<secret>", True),
        "keys.url": ("https://u:<secret>@h/", False),
        "keys.token_ttl": ("1m30s", False),
        "keys.held.password": ("<secret>", True),
        "keys.many": (["<secret>"], False),
    }


def test_effective_settings_are_plain_data(loader) -> None:
    toml = "[postgres]\ndsn = 'x'\n[pipelines.a]\npolicies = ["
    toml += "{policy = 'cache', ttl = 120}, {policy = 'retry'}, {policy = 'retry', max_attempts = 3}]"
    entries = loader(toml).effective()
    assert msgspec.json.decode(msgspec.json.encode(entries))
    assert {each.path: each.value for each in entries}["pipelines.a.policies"] == [
        {"policy": "cache", "ttl": "2m"},
        {"policy": "retry"},
        {"policy": "retry", "max_attempts": 3},  # the default, but somebody said so
    ]


def test_the_settings_do_not_show_themselves(loader) -> None:
    settings = loader("[postgres]\ndsn = 'hunter2'")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in repr(settings.section("postgres"))


def test_asking_for_a_section_that_nobody_has_says_which_there_are(loader) -> None:
    with pytest.raises(KeyError, match="no section 'redis' among the settings: app, postgres"):
        loader().section("redis")


def test_mapping_keys_are_strings(loader) -> None:
    made: Mapping[str, object] = loader("[postgres]\ndsn='x'\nlabels = {1 = 'a'}").section("postgres")["default"].labels
    assert made == {"1": "a"}
