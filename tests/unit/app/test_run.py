"""``app.run()`` in this process: what it sets for signals, and puts back."""

from __future__ import annotations

import signal

import pytest

from corten.app import App


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_signal_wakes_the_loop_even_just_before_it_waits(backend: str) -> None:
    app = App("test", autoload=False, config=None)
    descriptors: list[int] = []

    @app.task
    async def look() -> None:
        descriptors.append(signal.set_wakeup_fd(-1))
        signal.set_wakeup_fd(descriptors[0], warn_on_full_buffer=False)
        app.stop()

    app.run(backend=backend)  # type: ignore[arg-type]
    assert descriptors[0] != -1
    assert signal.set_wakeup_fd(-1) == -1
