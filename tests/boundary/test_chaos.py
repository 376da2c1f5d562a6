"""The decisions of a chaos policy, seen from Python."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from corten._core import Chaos

rates = st.floats(0, 0.5)


def made(seed: int, **changes: float) -> Chaos:
    numbers = {"error_rate": 0.0, "result_rate": 0.0, "latency_rate": 0.0, "latency": 0.5, "max_latency": 2.0}
    return Chaos(seed, errors=3, **{**numbers, **changes})  # type: ignore[arg-type]


@given(st.integers(0, 2**64 - 1), rates, rates, st.floats(0, 1))
def test_a_seed_decides_the_same_and_the_counts_agree(
    seed: int, error_rate: float, result_rate: float, latency_rate: float
) -> None:
    numbers = {"error_rate": error_rate, "result_rate": result_rate, "latency_rate": latency_rate}
    one, other = made(seed, **numbers), made(seed, **numbers)
    decisions = [one.decide() for _ in range(50)]
    assert decisions == [other.decide() for _ in range(50)]
    hit = [each for each in decisions if each is not None]
    assert all(seconds == 0 or 0.5 <= seconds <= 2.0 for seconds, _ in hit)
    assert all(instead is None or -1 <= instead < 3 for _, instead in hit)
    assert one.statistics() == (
        50,
        sum(seconds > 0 for seconds, _ in hit),
        sum(instead is not None and instead >= 0 for _, instead in hit),
        sum(instead == -1 for _, instead in hit),
    )


def test_threads_lose_no_decision() -> None:
    numbers = {"error_rate": 0.2, "result_rate": 0.2, "latency_rate": 0.5}
    alone, shared = made(7, **numbers), made(7, **numbers)

    def work(chaos: Chaos) -> None:
        for _ in range(1000):
            chaos.decide()

    for _ in range(4):
        work(alone)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(work, shared)
    assert shared.statistics() == alone.statistics()


def test_other_settings_count_on() -> None:
    first = made(1, error_rate=1.0)
    assert first.decide() is not None
    second = Chaos(1, 0.0, 1, 0.0, 0.0, 1.0, 1.0, first)
    assert second.decide() is None
    assert second.statistics() == (2, 0, 1, 0)
