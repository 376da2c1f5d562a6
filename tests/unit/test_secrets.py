"""Secrets do not show themselves."""

import copy
import json
import pickle
import traceback

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.secrets import Secret, dec_hook, enc_hook, is_hidden, is_sensitive, redact, redact_url

CANARY = "hunter2-canary"


class Login(msgspec.Struct, frozen=True):
    user: str
    password: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda s: f"{s}",
        lambda s: f"{s!r:>20}",
        lambda s: " ".join([str(s)]),
        lambda s: repr([s]),
        lambda s: format(s, ">12"),
    ],
)
def test_no_way_of_showing_it_shows_it(show) -> None:
    assert CANARY not in show(Secret(CANARY))
    assert "<secret>" in show(Secret(CANARY))


def test_only_reveal_gives_the_value() -> None:
    assert Secret("a").reveal() == "a"
    assert Secret(b"a").reveal() == "a"
    assert Secret("ä").reveal_bytes() == "ä".encode()


def test_json_shows_a_placeholder_or_refuses() -> None:
    login = Login("u", Secret(CANARY))
    assert msgspec.json.encode(login, enc_hook=enc_hook) == b'{"user":"u","password":"<secret>"}'
    with pytest.raises(TypeError) as refused:
        json.dumps({"password": login.password})
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_refuses_to_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(CANARY), protocol)


def test_a_traceback_with_locals_does_not_show_it() -> None:
    def fails(secret: Secret) -> None:
        raise RuntimeError(f"no access with {secret}")

    try:
        fails(Secret(CANARY))
    except RuntimeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "<secret>" in shown
    # The test's own line is quoted too: only the value must not be there.
    assert CANARY not in shown


def test_equal_secrets_are_equal_and_hash_alike() -> None:
    assert Secret("a") == Secret(b"a")
    assert hash(Secret("a")) == hash(Secret(b"a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_it_cannot_be_changed_and_copies_are_itself() -> None:
    secret = Secret("a")
    with pytest.raises(AttributeError):
        secret.value = "b"  # type: ignore[attr-defined]
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret("x")


def test_msgspec_decodes_it_with_the_hook() -> None:
    login = msgspec.json.decode(b'{"user":"u","password":"p"}', type=Login, dec_hook=dec_hook)
    assert login.password == Secret("p")
    with pytest.raises(msgspec.ValidationError, match=r"password"):
        msgspec.json.decode(b'{"user":"u","password":5}', type=Login, dec_hook=dec_hook)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://u:p@h/db", "postgres://u:<secret>@h/db"),
        ("postgres://u:p@a:5432,b:5432/db", "postgres://u:<secret>@a:5432,b:5432/db"),
        ("redis://:p@[::1]:6379/0", "redis://:<secret>@[::1]:6379/0"),
        ("postgres://u:p@s/w?r d#1@h/db", "postgres://u:<secret>@h/db"),
        ("postgres://u@h/db", "postgres://u@h/db"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("h1:9092,h2:9092", "h1:9092,h2:9092"),
        ("https://h/x?token=abc&page=2", "https://h/x?token=<secret>&page=2"),
        ("host=h password='x y' user=u", "host=h password=<secret> user=u"),
        ("host=h password=xy user=u", "host=h password=<secret> user=u"),
        ("from postgres://a:b@c to redis://:d@e", "from postgres://a:<secret>@c to redis://:<secret>@e"),
        ("plain text", "plain text"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(st.text(min_size=1, max_size=20), st.sampled_from(["postgres", "redis", "amqp+tls", "https"]))
def test_no_password_survives_in_an_address(noise: str, scheme: str) -> None:
    assert CANARY not in redact_url(f"{scheme}://user:{noise}{CANARY}{noise}@host/db")


@pytest.mark.parametrize(
    "name", ["password", "db_password", "API_KEY", "apikey", "token", "auth.token", "client_secret"]
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize("name", ["key", "max_size", "tokens", "secretary", "keyboard", "passage"])
def test_other_names_are_not(name: str) -> None:
    assert not is_sensitive(name)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("connect to redis://:hunter2@cache:6379/0", "connect to redis://:<secret>@cache:6379/0"),
        ("postgresql://app:p/w@db:5432/x failed", "postgresql://app:<secret>@db:5432/x failed"),
        ("dsn host=db password=hunter2 user=app", "dsn host=db password=<secret> user=app"),
        ("GET /x?api_key=hunter2&page=2", "GET /x?api_key=<secret>&page=2"),
        ('{"token": "hunter2", "a": 1}', '{"token": <secret>, "a": 1}'),
        ("Authorization: Bearer hunter2.abc-def", "Authorization: Bearer <secret>"),
        ("http://example.org/a@b", "http://example.org/a@b"),
        ("connection refused by 127.0.0.1:5432", "connection refused by 127.0.0.1:5432"),
        ("user ann@example.org is unknown", "user ann@example.org is unknown"),
    ],
)
def test_words_are_shown_without_credentials(words: str, shown: str) -> None:
    assert redact(words) == shown


@given(st.text(alphabet="abcXYZ0189_-.!$", min_size=8, max_size=20), st.sampled_from(["", "/x", "?ssl=1"]))
def test_no_password_of_an_address_survives_in_words(password: str, rest: str) -> None:
    password += "canary"
    assert "canary" not in redact(f"cannot reach postgresql://user:{password}@host{rest}: refused")


@given(st.text(max_size=3000))
def test_words_become_one_short_line(text: str) -> None:
    shown = redact(text)
    assert len(shown) <= 500
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    ("value", "names", "shows_numbers", "hidden"),
    [
        ("swordfish", ("postgres", "password"), False, True),
        (12345, ("password",), False, True),
        (12345, ("token_ttl",), True, False),
        ("", ("password",), False, False),
        ("localhost", ("postgres", "host"), False, False),
        (Secret("x"), ("host",), True, True),
        ({"user": "me"}, ("credentials",), True, True),
    ],
)
def test_one_rule_decides_what_is_hidden(
    value: object, names: tuple[str, ...], shows_numbers: bool, hidden: bool
) -> None:
    assert is_hidden(value, names, shows_numbers=shows_numbers) is hidden
