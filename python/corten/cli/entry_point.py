"""The command ``corten``. Needs click and rich: ``pip install 'corten[cli]'``."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command; its exit codes are those of ``docs/reference/exit_codes.md``."""
    for needed in ("click", "rich"):
        if find_spec(needed) is None:
            sys.stderr.write(f"corten: the command needs {needed}, which is not installed: pip install 'corten[cli]'\n")
            raise SystemExit(2)
    try:
        from corten.cli.group import corten

        corten(prog_name="corten")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
