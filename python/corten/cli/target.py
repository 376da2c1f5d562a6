"""Finds the App of a command: ``module:attribute``, or a path to a file."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from corten.app import App
from corten.app.lifecycle import exit_codes
from corten.cli.failure import Failure
from corten.spelling import nearest

_SHOWN_LINES = 12
_HINT = "expected MODULE:NAME, such as service:app"


def find_app(target: str) -> App[Any]:
    """Import the App that an import string names.

    The current folder is importable, as with ``python -m``. Without ``:NAME`` the name is ``app``. What is not an App
    but can be called without arguments is called for one.

    :raises Failure: there is no such module or attribute, it is no App, or importing it fails
    """
    path, _, attribute = target.partition(":")
    attribute = attribute or "app"
    module_name, folder = _module_of(path, target)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = _imported(module_name, folder)
    value: Any = module
    for step in attribute.split("."):
        if not hasattr(value, step):
            raise Failure(_no_attribute(module, module_name, attribute), exit_codes.USAGE)
        value = getattr(value, step)
    if not isinstance(value, App) and callable(value) and not isinstance(value, type):
        value = _made(value, target)
    if not isinstance(value, App):
        there = _apps_in(module)
        hint = f"; there is {module_name}:{there[0]}" if there else "; expected what corten.App(...) gives"
        raise Failure(f"{module_name}:{attribute} is not an App but a {type(value).__name__}{hint}", exit_codes.USAGE)
    return value  # pyright: ignore[reportUnknownVariableType] - whose settings type nobody can know


def _module_of(path: str, target: str) -> tuple[str, Path]:
    """The module to import, and the folder that it is found from."""
    if path.endswith(".py") or "/" in path:
        file = Path(path)
        if not file.is_file():
            raise Failure(f"there is no file {path}; {_HINT}", exit_codes.USAGE)
        return file.stem, file.resolve().parent
    if not path or not all(step.isidentifier() for step in path.split(".")):
        raise Failure(f"{target!r} names no module; {_HINT}", exit_codes.USAGE)
    return path, Path.cwd()


def _imported(name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            found = sorted(each.stem for each in folder.glob("*.py"))
            close = nearest(name, found)
            hint = f"; did you mean {close}?" if close else ""
            raise Failure(
                f"there is no module {error.name!r} in {folder} or installed{hint}", exit_codes.USAGE
            ) from None
        raise _import_failed(name, error) from None
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises is shown
        raise _import_failed(name, error) from None


def _made(factory: Any, target: str) -> Any:
    try:
        return factory()
    except Exception as error:  # noqa: BLE001 - as above
        raise Failure(f"{target} was called for an App and failed:\n{_tail(error)}", exit_codes.FAILED) from None


def _import_failed(name: str, error: Exception) -> Failure:
    return Failure(f"{name} cannot be imported:\n{_tail(error)}", exit_codes.FAILED)


def _tail(error: Exception) -> str:
    """The end of a traceback, from the user's own code on."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    lines = "".join(traceback.format_list(frames)).splitlines()[-_SHOWN_LINES:]
    lines += "".join(traceback.format_exception_only(error)).splitlines()
    return "\n".join(f"  {line}" for line in lines)


def _is_machinery(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or filename in {__file__, importlib.__file__}


def _apps_in(module: ModuleType) -> list[str]:
    return sorted(name for name, value in vars(module).items() if isinstance(value, App))


def _no_attribute(module: ModuleType, name: str, attribute: str) -> str:
    apps = _apps_in(module)
    close = nearest(attribute, apps or [each for each in vars(module) if not each.startswith("_")])
    hint = f"; there is {name}:{apps[0]}" if len(apps) == 1 else f"; did you mean {name}:{close}?" if close else ""
    return f"{name} has no {attribute!r}{hint}"
