"""No credential of an error's words is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.health import redact


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("connect to redis://:hunter2@cache:6379/0", "connect to redis://***@cache:6379/0"),
        ("postgresql://app:p/w@db:5432/x failed", "postgresql://***@db:5432/x failed"),
        ("dsn host=db password=hunter2 user=app", "dsn host=db password=*** user=app"),
        ("GET /x?api_key=hunter2&page=2", "GET /x?api_key=***&page=2"),
        ('{"token": "hunter2", "a": 1}', '{"token": ***, "a": 1}'),
        ("Authorization: Bearer hunter2.abc-def", "Authorization: Bearer ***"),
        ("http://example.org/a@b", "http://***@b"),
        ("connection refused by 127.0.0.1:5432", "connection refused by 127.0.0.1:5432"),
        ("user ann@example.org is unknown", "user ann@example.org is unknown"),
    ],
)
def test_credentials_are_hidden_and_the_rest_stays(words: str, shown: str) -> None:
    assert redact(words) == shown


@given(st.text(alphabet="abcXYZ0189_-.!$", min_size=8, max_size=20), st.sampled_from(["", "/x", "?ssl=1"]))
def test_a_password_of_a_url_never_gets_through(password: str, rest: str) -> None:
    password += "canary"
    assert "canary" not in redact(f"cannot reach postgresql://user:{password}@host{rest}: refused")


@given(st.text(max_size=3000))
def test_the_result_is_one_short_line(text: str) -> None:
    shown = redact(text)
    assert len(shown) <= 500
    assert len(shown.splitlines()) <= 1
