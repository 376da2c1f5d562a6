"""Other Python versions to measure on, each with a virtual environment.

Some peers need a newer Python than Corten (grelmicro: 3.12), and the interpreter takes most of the measured time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
WANTED = ("3.12",)
# Needed to build and run the library; requirements.txt has the peers.
NEEDED = ("maturin", "anyio", "pluggy", "msgspec")


def version(python: str | Path) -> str:
    """Return the version of an interpreter, such as ``3.12``."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def others(already: set[str]) -> dict[str, Path]:
    """Return interpreters with the compiled library and the peers, by version."""
    found = {}
    for wanted in WANTED:
        if wanted in already:
            continue
        python = _find(wanted)
        if python is None:
            print(f"no python{wanted} was found: only {', '.join(sorted(already))} is measured")
            continue
        print(f"python{wanted}: {python}; installing the peers and compiling the core for it …", flush=True)
        found[wanted] = _prepare(wanted, python)
    return found


def _find(wanted: str) -> Path | None:
    on_path = shutil.which(f"python{wanted}")
    if on_path and _works(Path(on_path), wanted):
        return Path(on_path)
    # pyenv's command works only where the version is chosen; its files always work.
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(root.glob(f"versions/{wanted}*/bin/python{wanted}"))
    return next((python for python in reversed(installed) if _works(python, wanted)), None)


def _works(python: Path, wanted: str) -> bool:
    try:
        return version(python) == wanted
    except (OSError, subprocess.CalledProcessError):
        return False


def _prepare(wanted: str, python: Path) -> Path:
    folder = ROOT / f".venv-benches-{wanted}"
    own = folder / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    # maturin takes the environment from these variables.
    environ = {**os.environ, "VIRTUAL_ENV": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    install = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", ROOT / "constraints.txt"]
    subprocess.run([*install, *NEEDED, "-r", ROOT / "benches/requirements.txt"], check=True, env=environ)
    # In one target folder the two versions would compile the binding again and again.
    environ["CARGO_TARGET_DIR"] = str(ROOT / "target" / f"benches-{wanted}")
    subprocess.run(
        [own, "-m", "maturin", "develop", "--release", "--locked", "--quiet"],
        check=True,
        env=environ,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return own
