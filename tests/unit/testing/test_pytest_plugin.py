"""The fixtures that pytest finds."""

from corten.testing import FakeClock


def test_the_fake_clock_stands_still_until_it_is_moved(fake_clock: FakeClock) -> None:
    before = fake_clock.now()
    fake_clock.tick(5)
    assert fake_clock.now() == before + 5
