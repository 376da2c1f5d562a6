"""Whatever is in the sources: settings of the right types, or a SettingsError that shows no secret; nothing else."""

import tempfile
from pathlib import Path
from typing import Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.errors import SettingsError
from corten.secrets import Secret
from corten.settings import Duration, Rate, Section, Size, load

CANARY = "hunter2canary"


class Leaf(msgspec.Struct, frozen=True, tag="leaf"):
    wait: Duration = 1.0


class Branch(msgspec.Struct, frozen=True, tag="branch"):
    below: "list[Leaf | Branch]" = []
    rate: Rate = "1/s"


class Everything(msgspec.Struct, frozen=True):
    flag: bool = False
    number: int | None = None
    text: str = ""
    secret: Secret | None = None
    size: Size = 0
    choice: Literal["a", 1] = "a"
    either: int | list[str] | dict[str, Duration] = 0
    pair: tuple[int, Duration] = (0, 0.0)
    tree: Leaf | Branch = Leaf()
    table: dict[str, Leaf | None] = {}

    def __post_init__(self) -> None:
        if self.secret is not None and self.flag:
            raise ValueError(f"no flag with {self.secret.reveal()}")


SECTIONS = [Section("every", Everything, instances=True, aliases={"ALIAS": "text"})]
NAMES = [*Everything.__struct_fields__, "type", "wait", "below", "rate", "other", "default", ""]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["leaf", "branch", "5s", "1MiB", "2/s", "on", "[1, 2]", '{"wait": "1s"}', "a=1,b=2s", "{", "a,b"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
paths = st.lists(st.sampled_from([*NAMES, "every"]), min_size=1, max_size=4)
EMPTY = Path(tempfile.gettempdir()) / "there-is-no-such-file.env"


@settings(max_examples=300)
@given(
    st.dictionaries(paths.map(lambda steps: "every." + ".".join(steps)), values, max_size=5),
    st.dictionaries(
        paths.map(lambda steps: "CORTEN_EVERY__" + "__".join(steps)),
        st.text(max_size=12) | scalars.map(str),
        max_size=5,
    ),
    st.booleans(),
)
def test_any_sources_give_settings_or_a_settings_error(arguments, environ, hidden) -> None:
    if hidden:
        arguments = {**arguments, "every.secret": CANARY}
    try:
        loaded = load(SECTIONS, file=None, environ=environ, arguments=arguments, dotenv=EMPTY)
    except SettingsError as error:
        problems, shown = error.problems, str(error)
    else:
        assert all(isinstance(made, Everything) for made in loaded.section("every").values())
        assert CANARY not in repr(loaded.effective()) + repr(loaded.warnings)
        return
    assert problems
    assert all(problem.path and problem.message for problem in problems)
    assert len(set(problems)) == len(problems)
    assert CANARY not in shown
