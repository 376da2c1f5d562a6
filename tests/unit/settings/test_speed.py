"""Reading settings takes a few milliseconds, and adds no modules that a service does not need."""

import subprocess
import sys
from time import perf_counter


def test_a_load_takes_milliseconds(loader) -> None:
    toml = "[postgres]\ndsn = 'x'\n" + "".join(
        f"[pipelines.p{number}]\npolicies = [{{policy = 'cache', ttl = '5m'}}, {{policy = 'retry'}}]\n"
        for number in range(50)
    )
    environ = {f"CORTEN_POSTGRES__LABELS__L{number}": str(number) for number in range(50)}
    loader(toml, environ=environ)
    times = []
    for _ in range(5):
        began = perf_counter()
        loader(environ=environ)
        times.append(perf_counter() - began)
    # 150 values; a loose bound, for the machine may be busy: it is about 4 ms.
    assert min(times) < 0.1


def test_settings_import_neither_dotenv_nor_anything_of_the_command() -> None:
    code = (
        "import sys, corten.settings; print([m for m in ('dotenv', 'click', 'rich', 'hypothesis') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
