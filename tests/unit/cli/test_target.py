"""Where an App lives: right import strings find it, wrong ones are told what would be right."""

import pytest

FACTORY = """
def create_app():
    return App("made")

def broken():
    raise RuntimeError("no luck")

number = 5
apps = type("Apps", (), {"inner": app})
"""


@pytest.mark.parametrize(
    "target",
    ["{name}", "{name}:app", "{name}.py:app", "{folder}/{name}.py", "{name}:create_app", "{name}:apps.inner"],
)
def test_the_attribute_may_be_left_out_and_the_target_may_be_a_path_or_a_factory(project, target: str) -> None:
    project.service(FACTORY)
    result = project.corten("config", target.format(name=project.name, folder=project.folder))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:app", "there is no module 'no_such_module'"),
        ("json.nothing:app", "there is no module 'json.nothing'"),
        ("{module}x:app", "did you mean {module}?"),
        ("{module}:ap", "{module} has no 'ap'; there is {module}:app"),
        ("{module}:number", "{module}:number is not an App but a int; there is {module}:app"),
        ("no/file.py:app", "there is no file no/file.py; expected MODULE:NAME, such as service:app"),
        ("not a module", "'not a module' names no module; expected MODULE:NAME, such as service:app"),
        (":app", "':app' names no module"),
    ],
)
@pytest.mark.parametrize("command", ["run", "config", "dev", "plugins"])
def test_a_wrong_target_is_a_usage_error_with_the_right_one(project, command: str, target: str, message: str) -> None:
    module = project.service(FACTORY).partition(":")[0]
    result = project.corten(command, target.format(module=module))
    assert result.exit_code == 2
    assert message.format(module=module) in result.stderr
    assert "Traceback" not in result.output


def test_a_module_that_fails_to_import_shows_the_users_own_lines(project) -> None:
    target = project.service("\ndef connect():\n    raise RuntimeError('no luck')\n\nconnect()\n")
    result = project.corten("run", target)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"corten: {project.name} cannot be imported:\n")
    assert "    raise RuntimeError('no luck')" in result.stderr
    assert result.stderr.endswith("RuntimeError: no luck\n")
    assert "Traceback" not in result.output
    assert "importlib" not in result.output


@pytest.mark.parametrize(
    ("code", "message"),
    [("import nothing_like_this", "No module named 'nothing_like_this'"), ("def f(:", "SyntaxError")],
)
def test_a_missing_dependency_or_bad_syntax_of_the_module_is_not_mistaken_for_a_missing_module(
    project, code, message
) -> None:
    result = project.corten("config", project.service(code))
    assert result.exit_code == 1
    assert message in result.stderr
    assert f"{project.name}.py" in result.stderr


def test_a_factory_that_fails_is_shown(project) -> None:
    module = project.service(FACTORY).partition(":")[0]
    result = project.corten("config", f"{module}:broken")
    assert result.exit_code == 1
    assert "no luck" in result.stderr
