"""Every policy on the machine's clock, under a bare ``asyncio.run`` and ``trio.run``, without a test's runner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.services

PROGRAM = Path(__file__).with_name("real_clock.py")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_policy_works_in_a_program_of_its_own(backend: str) -> None:
    done = subprocess.run([sys.executable, PROGRAM, backend], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    late = found.pop("late")
    assert late == ["pipeline 'late': the call did not finish within 0.05 s"] * 2
    assert {name: each["results"] for name, each in found.items()} == dict.fromkeys(found, 8)
    assert found["hedge"]["hedged"] > 0
    assert found["retry"]["retries"] == 2
