"""An App reads its settings and flags, and may be configured by who runs it."""

from pathlib import Path

import pytest

from corten import App
from corten.errors import CortenError, SettingsError


def test_flags_come_from_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "corten.toml"
    file.write_text("[flags]\nnew_checkout = true\nnew_search = { rollout = 1.0, salt = 's' }\nold = false\n")
    monkeypatch.setenv("CORTEN_FLAGS__OLD", "on")
    app = App("x", config=file, autoload=False)
    app.load()
    assert [(state.name, state.rollout) for state in app.flags.states()] == [
        ("new_checkout", 1.0),
        ("new_search", 1.0),
        ("old", 1.0),
    ]


def test_a_wrong_flag_is_a_problem_with_what_would_be_right(tmp_path: Path) -> None:
    file = tmp_path / "corten.toml"
    file.write_text("[flags]\na = 'perhaps'\nb = { rollout = 25 }\n")
    with pytest.raises(SettingsError) as raised:
        App("x", config=file, autoload=False).load()
    assert [str(problem) for problem in raised.value.problems] == [
        f'flags.a: wrong value (is "perhaps"); expected true or false or a table  [{file}:2]',
        f"flags.b.rollout: out of bounds (is 25); expected a number of at least 0 and of at most 1  [{file}:3]",
    ]


def test_wrong_autoload_does_not_hide_what_else_is_wrong_and_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "corten.toml"
    file.write_text(
        "[plugins]\nautoload = 5\n[flags]\na = 'perhaps'\n[shutdown]\ndeadline = 'soon'\n[postgres]\nx = 1\n"
    )
    app = App("x", config=file)
    with pytest.raises(SettingsError) as raised:
        app.load()
    paths = {problem.path for problem in raised.value.problems}
    assert paths == {"plugins.autoload", "flags.a", "shutdown.deadline"}
    assert app.plugins == ()


def test_who_runs_an_app_may_configure_it_until_its_settings_are_loaded(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[flags]\na = true\n")
    app = App("x", config=None, autoload=False, arguments={"flags.b": True})
    app.configure(config=file, arguments={"flags.c": True})
    app.load()
    assert [state.name for state in app.flags.states()] == ["a", "b", "c"]
    with pytest.raises(CortenError, match="configure it before"):
        app.configure(arguments={"flags.d": True})


@pytest.mark.anyio
async def test_warnings_are_logged_when_the_app_starts(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setenv("CORTEN_SHUTDOWN__DEADLIN", "5s")
    async with App("x", config=None, autoload=False):
        pass
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line == (
        "settings: environment CORTEN_SHUTDOWN__DEADLIN is not a setting of this app;"
        " was CORTEN_SHUTDOWN__DEADLINE meant?"
    )


def test_every_setting_of_cortens_own_is_documented() -> None:
    from corten.app.settings.settings import OWN_SECTIONS
    from corten.settings.types.schema import fields

    documented = (Path(__file__).parents[3] / "docs" / "reference" / "settings.md").read_text()
    for section in OWN_SECTIONS:
        for field in fields(section.type):
            path = f"{section.name}.{field.name}".removeprefix(".")
            words = (f"`{path}`", f"`{path}.", f".NAME.{field.name}`", f"`.{field.name}`")
            assert any(each in documented for each in words), path
