"""Takes credentials out of the words of errors before they are shown."""

from __future__ import annotations

import re

HIDDEN = "***"
LONGEST = 500
"""Characters of a message that are kept."""

# Texts, compiled by `re` when first asked for and kept there, so that importing stays light.
_USER_INFO = r"(?i)(?P<scheme>[a-z][a-z0-9+.\-]*://)[^\s/@]*(?:/[^\s/@]*)*@"
# A name that speaks of a secret, then = or :, then its value: DSN words, query strings, JSON and headers.
_NAMED = (
    r"(?i)(?P<name>[\w\-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|credential)[\w\-]*"
    r"[\"']?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"')\]}]+)"
)
_AUTHORIZATION = r"(?i)(?P<scheme>\b(?:Bearer|Basic)\s+)[\w\-.~+/=]+"
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+"


def redact(text: str) -> str:
    """Give ``text`` back as one line without user names and passwords of URLs, named secrets, or bearer tokens.

    Control characters become a space, so that what a server said cannot start a line of its own in a log; what is
    longer than 500 characters is cut off.
    """
    line = re.sub(_CONTROL, " ", text[: 4 * LONGEST])
    line = re.sub(_USER_INFO, rf"\g<scheme>{HIDDEN}@", line)
    line = re.sub(_AUTHORIZATION, rf"\g<scheme>{HIDDEN}", line)
    line = re.sub(_NAMED, rf"\g<name>{HIDDEN}", line).strip()
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
