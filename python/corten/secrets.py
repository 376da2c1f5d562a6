"""Secrets that never show themselves, and redaction of addresses and error texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

__all__ = [
    "HIDDEN",
    "Secret",
    "dec_hook",
    "enc_hook",
    "is_hidden",
    "is_sensitive",
    "redact",
    "redact_url",
]

HIDDEN: Final = "<secret>"
"""Shown in place of a secret."""


class Secret:
    """A password, token or key, shown as ``<secret>``; :meth:`reveal` returns it.

    It is hidden in ``repr``, ``str``, formatting and JSON, and refuses to be pickled. Equality takes the same time
    wherever the values differ. It is immutable, and may be a field of a settings type.
    """

    __slots__ = ("__value",)
    __value: str | bytes

    def __init__(self, value: str | bytes) -> None:
        object.__setattr__(self, "_Secret__value", value)

    def reveal(self) -> str:
        """The value as text.

        :raises UnicodeDecodeError: it was made of bytes that are not UTF-8
        """
        return self.__value if isinstance(self.__value, str) else self.__value.decode()

    def reveal_bytes(self) -> bytes:
        """The value as bytes, text in UTF-8."""
        return self.__value if isinstance(self.__value, bytes) else self.__value.encode()

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, format_spec: str) -> str:
        return format(HIDDEN, format_spec)

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac

        return hmac.compare_digest(self.reveal_bytes(), other.reveal_bytes())

    def __hash__(self) -> int:
        return hash(("corten.Secret", self.reveal_bytes()))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled: what is pickled is readable")


def enc_hook(value: object) -> object:
    """For msgspec's encoders: a secret becomes ``"<secret>"``.

    :raises NotImplementedError: it is neither a secret nor anything msgspec knows
    """
    if isinstance(value, Secret):
        return HIDDEN
    raise NotImplementedError(f"objects of type {type(value).__name__} are not encoded")


def dec_hook(kind: type[Any], value: object) -> object:
    """Decode text or bytes as a secret, for msgspec's decoders.

    :raises NotImplementedError: the type is not :class:`Secret`
    """
    if kind is Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, (str, bytes)):
            return Secret(value)
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
    raise NotImplementedError(f"objects of type {kind.__name__} are not decoded")


# Texts, compiled by `re` when first asked for and kept there: compiling all at import would take a millisecond.
_SENSITIVE: Final = (
    r"(?i)(?:^|[_\-.])(?:password|passwd|passphrase|pwd|secret|token|credentials?|api_?key|private_?key|access_?key"
    r"|secret_?key|signing_?key)(?:$|[_\-.])"
)
_AUTHORITY: Final = r"(?i)(?P<scheme>\b[a-z][a-z0-9+.\-]*://)(?P<rest>\S*)"
_ONE_AUTHORITY: Final = _AUTHORITY.replace("(?i)", "(?is)").replace(r"\S*", ".*")
_PARAMETER: Final = r"(?P<key>[\w\-.]*)=(?P<value>'(?:[^'\\]|\\.)*'|[^&\s;]*)"

# In words of others a name speaks of a secret by any part of it, and = or : comes before the value: DSN words, query
# strings, JSON and headers.
_NAMED: Final = (
    r"(?i)(?P<name>[\w\-]*(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|credential)[\w\-]*"
    r"[\"']?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"')\]}]+)"
)
_AUTHORIZATION: Final = r"(?i)(?P<scheme>\b(?:Bearer|Basic)\s+)[\w\-.~+/=]+"
_CONTROL: Final = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+"
_LONGEST_WORDS: Final = 500


def is_sensitive(name: str) -> bool:
    """Return whether a name such as ``api_key`` or ``password`` means a secret."""
    return re.search(_SENSITIVE, name) is not None


def is_hidden(value: object, names: Iterable[object], *, shows_numbers: bool = False) -> bool:
    """Decide whether a value is hidden: the one rule for settings in effect, problems of settings, and log records.

    A :class:`Secret` is hidden, and a value below a sensitive name. Empty values are shown.

    :param names: the names that lead to the value, such as ``("postgres", "password")``
    :param shows_numbers: show numbers under any name, such as ``token_ttl``, where their field has a numeric type
    """
    if not value or (shows_numbers and isinstance(value, int | float)):
        return False
    return isinstance(value, Secret) or any(isinstance(name, str) and is_sensitive(name) for name in names)


def redact_url(url: str) -> str:
    """An address without its password, fit to be shown: ``postgres://user:<secret>@host/db``.

    Understands URLs (also with several hosts, and with passwords that were not quoted as they ought to be), query
    parameters such as ``password=`` or ``token=``, and libpq's ``host=… password=…`` form. Where an address can be
    read in two ways it hides too much rather than too little.
    """

    def parameter(match: re.Match[str]) -> str:
        key = match["key"]
        hidden = is_sensitive(key) or key.lower() in {"sslpassword", "key", "auth", "sig", "signature"}
        return f"{key}={HIDDEN}" if hidden and match["value"] else match[0]

    # An unquoted password may hold blanks too: only where several addresses stand in one text do blanks end them.
    pattern = _AUTHORITY if url.count("://") > 1 else _ONE_AUTHORITY
    return re.sub(_PARAMETER, parameter, re.sub(pattern, _without_password, url))


def redact(text: str) -> str:
    """Return foreign text as one line without passwords, named secrets and bearer tokens.

    Control characters become a space, so that a server's message cannot start a new line in a log. Texts longer than
    500 characters are cut. For an address alone there is :func:`redact_url`.
    """
    line = re.sub(_CONTROL, " ", text[: 4 * _LONGEST_WORDS])
    line = re.sub(_AUTHORITY, _without_password, line)
    line = re.sub(_AUTHORIZATION, rf"\g<scheme>{HIDDEN}", line)
    line = re.sub(_NAMED, rf"\g<name>{HIDDEN}", line).strip()
    return line if len(line) <= _LONGEST_WORDS else line[: _LONGEST_WORDS - 1] + "…"


def _without_password(match: re.Match[str]) -> str:
    userinfo, at, host = match["rest"].rpartition("@")
    user, colon, _password = userinfo.partition(":")
    return f"{match['scheme']}{user}{colon}{HIDDEN if colon else ''}{at}{host}"
