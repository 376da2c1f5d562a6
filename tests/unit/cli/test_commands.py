"""What each command prints, and its exit code."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from corten.cli.group import COMMANDS

PLUGIN = """
from collections.abc import Sequence
from contextlib import asynccontextmanager
import msgspec
from corten import App
from corten.hookspecs import hookimpl
from corten.plugins import Resource
from corten.secrets import Secret
from corten.settings import Section

class Server(msgspec.Struct):
    dsn: Secret

class Ops(msgspec.Struct):
    port: int = 0
    host: str = "127.0.0.1"

class Connection: ...

class GoodPlugin:
    @hookimpl
    def corten_settings(self):
        return [Section("server", Server, activated_by=("dsn",)), Section("ops", Ops)]

    @hookimpl
    def corten_resources(self, app):
        @asynccontextmanager
        async def open(app):
            yield Connection()
        return [Resource(Connection, open)]
"""
BAD = """
class Bad:
    def corten_setings(self): ...
"""
APP = 'app = App("demo", plugins=[GoodPlugin], autoload=False)\n'


# -- help and versions


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_examples(project, command: str) -> None:
    result = project.corten(command, "--help")
    assert result.exit_code == 0
    assert f"corten {command}" in result.output.partition("Options:")[0].partition("\n")[2]


def test_help_lists_every_command(project) -> None:
    output = project.corten("--help").output
    for command, words in COMMANDS.items():
        assert f"  {command} " in output
        assert words in output


def test_an_unknown_command_names_the_nearest(project) -> None:
    result = project.corten("docter")
    assert result.exit_code == 2
    assert "Did you mean 'doctor'?" in result.stderr


def test_version_names_the_library_and_the_core(project) -> None:
    assert project.corten("--version").output.startswith("corten 0.1.0 (core 0.1.0, Python 3.")


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_completion_prints_a_script(project, shell: str, word: str) -> None:
    result = project.corten("completion", shell)
    assert result.exit_code == 0
    assert word in result.output
    assert "_CORTEN_COMPLETE" in result.output


def test_without_click_the_command_says_the_pip_line() -> None:
    code = """if True:
    import importlib.util, sys
    real = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: None if name == "click" else real(name, *rest)
    from corten.cli import main
    assert "click" not in sys.modules
    main()
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "corten: the command needs click, which is not installed: pip install 'corten[cli]'\n"


# -- config


def test_config_shows_values_with_their_sources(project) -> None:
    project.settings('[app]\ngreeting = "hi [bold]"\napi_key = "hunter2"\n')
    result = project.corten("config", project.service(), "--set", "app.level=3", environ={"CORTEN_APP__DSN": "hunter2"})
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert 'app.greeting "hi [bold]" corten.toml:2' in lines
    assert "app.level 3 --set app.level" in lines
    assert "app.dsn <secret> environment CORTEN_APP__DSN" in lines
    assert "app.api_key <secret> corten.toml:3" in lines
    assert 'environment "production" default' in lines
    assert "hunter2" not in result.output


def test_config_can_be_narrowed_and_read_by_programs(project) -> None:
    project.settings('[app]\ngreeting = "hi"\n')
    target = project.service()
    assert project.json("config", target, "--changed") == [
        {"path": "app.greeting", "value": "hi", "source": "corten.toml:2", "secret": False}
    ]
    paths = [entry["path"] for entry in project.json("config", project.service(), "shutdown")]
    assert paths == ["shutdown.deadline", "shutdown.pre_drain"]


def test_config_tells_tables_that_extend_nothing(project) -> None:
    project.settings('[pipelines.users]\nextends = "htp"\n')
    code = """
@app.pipeline("users")
async def users() -> None: ...
"""
    result = project.corten("config", project.service(code))
    assert result.exit_code == 78
    assert "pipelines.users.extends: extends a missing table (is htp)" in result.stderr
    assert "did you mean 'http'?  [corten.toml:2]" in result.stderr


def test_config_warns_of_variables_that_nobody_reads(project) -> None:
    result = project.corten("config", project.service(), environ={"CORTEN_APP__LEVLE": "3"})
    assert "CORTEN_APP__LEVLE is not a setting of this app; was CORTEN_APP__LEVEL meant?" in result.stderr


@pytest.mark.parametrize("command", ["config", "run"])
def test_wrong_settings_are_all_listed_with_exit_code_78(project, command: str) -> None:
    project.settings('environment = "moon"\n[app]\nlevel = "high"\ngreting = "hi"\n')
    result = project.corten(command, project.service())
    assert result.exit_code == 78
    for words in (
        'environment: wrong value (is "moon")',
        "app.level: wrong value",
        'app.greting: unknown key; expected "greeting"',
    ):
        assert words in result.stderr
    assert "Traceback" not in result.output


def test_errors_are_json_too_where_that_was_asked_for(project) -> None:
    project.settings("[app]\nlevel = true\n")
    result = project.corten("config", project.service(), "--json")
    document = json.loads(result.stdout)
    assert document["exit_code"] == result.exit_code == 78
    assert document["problems"] == [
        {"path": "app.level", "message": "wrong value", "expected": "a whole number", "source": "corten.toml:2"}
    ]


@pytest.mark.parametrize("assignment", ["nonsense", "=5", "a..b=5"])
def test_a_wrong_assignment_is_a_usage_error(project, assignment: str) -> None:
    result = project.corten("config", project.service(), "--set", assignment)
    assert result.exit_code == 2
    assert "expected PATH=VALUE, such as postgres.max_size=20" in result.stderr


def test_another_settings_file_must_be_there(project) -> None:
    result = project.corten("config", project.service(), "--config", "other.toml")
    assert result.exit_code == 78
    assert "other.toml: cannot be read: No such file or directory" in result.stderr


# -- plugins


def test_plugins_are_listed_with_state_sections_and_hooks(project) -> None:
    target = project.service(PLUGIN + APP)
    (record,) = project.json("plugins", target)
    assert record["name"] == "good"
    assert record["state"] == "active"
    assert record["sections"] == ["server", "ops"]
    assert record["hooks"] == ["corten_resources", "corten_settings"]
    output = project.corten("plugins", project.service(PLUGIN + APP)).output
    assert "[server] [ops]" in output


def test_a_broken_plugin_is_listed_with_its_reason_and_exit_code_70(project) -> None:
    target = project.service(BAD + "app = App('demo', plugins=[Bad], autoload=False)\n")
    result = project.corten("plugins", target)
    assert result.exit_code == 70
    assert "unknown hook corten_setings" in result.stderr
    assert "failed" in result.stdout


def test_without_plugins_it_says_how_to_get_some(project) -> None:
    assert "pip install 'corten[postgres]'" in project.corten("plugins", project.service()).output


# -- doctor


def test_a_healthy_app_would_start(project) -> None:
    result = project.corten("doctor", project.service())
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("it would start\n")


def test_doctor_lists_every_settings_problem_with_what_would_be_right(project) -> None:
    project.settings('[app]\nlevel = "high"\ngreting = "hi"\n')
    found = project.json("doctor", project.service())
    assert found["starts"] is False
    problems = {each["message"]: each["fix"] for each in found["diagnoses"] if each["status"] == "problem"}
    assert problems == {
        'app.level: wrong value (is "high")  [corten.toml:2]': "expected a whole number",
        "app.greting: unknown key  [corten.toml:3]": 'expected "greeting"',
    }


def test_doctor_tells_broken_plugins_and_settings_at_once(project) -> None:
    project.settings("[app]\nx = 1\n[shutdown]\ndeadline = 'soon'\n")
    code = PLUGIN + BAD + "app = App('demo', plugins=[Bad, GoodPlugin], autoload=False)\n"
    found = project.json("doctor", project.service(code))
    problems = [each["subject"] + ": " + each["message"] for each in found["diagnoses"] if each["status"] == "problem"]
    assert any("unknown hook" in each for each in problems)
    assert any("shutdown.deadline" in each for each in problems)


def test_doctor_tells_pipelines_without_policies_and_resources_without_providers(project) -> None:
    code = (
        PLUGIN
        + """
app = App("demo", plugins=[GoodPlugin], autoload=False)
class Missing: ...
app.add(Resource(int, None, requires=(Missing,)))
@app.pipeline("users")
async def users() -> None: ...
"""
    )
    found = project.json("doctor", project.service(code))
    problems = [each["message"] for each in found["diagnoses"] if each["status"] == "problem"]
    assert any("pipelines.users" in each for each in problems)
    assert any("requires Missing, which no plugin provides" in each for each in problems)
    fix = next(each["fix"] for each in found["diagnoses"] if each["subject"] == "resources")
    assert fix.startswith("configure what provides it")


def test_doctor_tells_policies_that_do_not_fit_and_tables_that_nobody_uses(project) -> None:
    """What only shows when the policies meet the functions: the App would not start."""
    code = """
@app.pipeline("users")
async def users(number: int) -> None: ...
@app.pipeline("rates")
async def rates() -> None: ...
@app.pipeline("prices")
async def prices() -> None: ...
"""
    project.settings("""
[pipelines.users]
policies = [{ policy = "rate_limit", rate = "5/s", key = "user" }]
[pipelines.rates]
policies = [{ policy = "circuit_breaker", name = "upstream" }]
[pipelines.prices]
policies = [{ policy = "circuit_breaker", name = "upstream", failures = 9 }]
[pipelines.pricse]
extends = "http"
""")
    found = project.json("doctor", project.service(code))
    said = {
        each["message"].partition("  [")[0]: each["status"] for each in found["diagnoses"] if each["status"] != "ok"
    }
    assert any(each["message"].endswith("[corten.toml:3]") for each in found["diagnoses"])
    assert said == {
        "no pipeline uses [pipelines.pricse]; did you mean 'prices'?": "warning",
        "pipelines.users.policies: pipeline 'users': rate_limit counts by 'user', which is no parameter of users: "
        "it has number": "problem",
        "pipelines.prices.policies: circuit_breaker 'upstream' has failures=9 here and None in pipeline 'rates'; it is "
        "one circuit breaker": "problem",
    }
    assert found["starts"] is False


def test_doctor_tells_odd_orders_of_policies_and_chaos_that_is_allowed(project) -> None:
    policies = '{ policy = "bulkhead" }, { policy = "cache" }, { policy = "chaos", error_rate = 0.05 }'
    code = """
@app.pipeline("users")
async def users() -> None: ...
@app.pipeline("rates", Retry(), Retry())
async def rates() -> None: ...
"""
    for allowed, chaos in (("false", []), ("true", ["chaos is on: of the calls 5 % fail with ChaosError"])):
        project.settings(f"[chaos]\nallowed = {allowed}\n[pipelines.users]\npolicies = [{policies}]\n")
        found = project.json("doctor", project.service(code))
        said = [(each["subject"], each["message"]) for each in found["diagnoses"] if each["status"] == "warning"]
        assert said == [
            *(("pipeline users", each) for each in chaos),
            ("pipeline users", "bulkhead outside cache"),
            ("pipeline rates", "retry outside retry"),
        ]
        assert found["starts"] is True


def test_doctor_tells_ports_that_are_taken(project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project.settings(f"[ops]\nport = {port}\n")
        result = project.corten("doctor", project.service(PLUGIN + APP))
    assert result.exit_code == 1
    assert f"port 127.0.0.1:{port}" in result.stdout
    assert "Address already in use" in result.stdout
    assert "set ops.port" in result.stdout


def test_doctor_tells_ports_of_what_the_app_serves_and_consumers_without_messages(project) -> None:
    code = """
from corten.asgi import serve
app.add(serve(object(), port=lambda: app.settings.level))

@app.consumer("orders", type=dict)
async def store(order: dict) -> None: ...
"""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = project.corten("doctor", project.service(code), "--set", f"app.level={port}")
    assert result.exit_code == 1
    assert f"port 127.0.0.1:{port}" in result.stdout
    assert "choose another port for it" in result.stdout
    assert "nobody brings messages from 'kafka'" in result.stdout
    assert "pip install 'corten[kafka]'" in result.stdout


STORES = """
class StorePlugin(GoodPlugin):
    @hookimpl
    def corten_dead_letter_stores(self, app): return [("store", object())]

class OtherPlugin:
    @hookimpl
    def corten_settings(self): return [Section("other", Server, activated_by=("dsn",))]

    @hookimpl
    def corten_dead_letter_stores(self, app): return []

app = App("demo", plugins=[StorePlugin, OtherPlugin], autoload=False)
"""


@pytest.mark.parametrize("store", ["", "memory", "store", "store.second"])
def test_doctor_is_content_with_a_store_of_dead_letters_that_is_brought(project, store: str) -> None:
    project.settings(f"[dead_letters]\nstore = '{store}'\n")
    assert project.corten("doctor", project.service(PLUGIN + STORES)).exit_code == 0


@pytest.mark.parametrize(("store", "fix"), [("other", "set other.dsn"), ("nowhere", "one of: memory, store, other")])
def test_doctor_tells_a_store_of_dead_letters_that_nobody_brings(project, store: str, fix: str) -> None:
    project.settings(f"[dead_letters]\nstore = '{store}'\n")
    found = project.json("doctor", project.service(PLUGIN + STORES))
    assert not found["starts"]
    [problem] = [each for each in found["diagnoses"] if each["status"] == "problem"]
    assert f"nobody brings the store '{store}'" in problem["message"]
    assert fix in problem["fix"]


def test_doctor_and_run_say_where_they_looked_for_a_file_that_may_be_missing(project) -> None:
    file = str(project.folder / "corten.toml")
    settings = [
        each for each in project.json("doctor", project.service())["diagnoses"] if each["subject"] == "settings"
    ]
    assert f"there is no {file}" in settings[0]["message"]
    result = project.corten("run", project.service("app.pipeline('users')"))
    assert result.exit_code == 78
    assert f"There is no settings file {file}" in result.stderr


def test_ctrl_c_while_a_module_is_imported_ends_with_130(project) -> None:
    result = project.corten("doctor", project.service("raise KeyboardInterrupt"))
    assert result.exit_code == 130
    assert "Traceback" not in result.output


def test_doctor_tells_servers_that_do_not_answer(project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        project.settings(f"[server]\ndsn = 'postgres://u:hunter2@127.0.0.1:{port}/db'\n")
        assert project.corten("doctor", project.service(PLUGIN + APP)).exit_code == 0
    result = project.corten("doctor", project.service(PLUGIN + APP))
    assert result.exit_code == 1
    assert f"server 127.0.0.1:{port}" in result.stdout
    assert "server.dsn: Connection refused" in result.stdout
    assert "hunter2" not in result.output
    assert project.corten("doctor", project.service(PLUGIN + APP), "--no-connect").exit_code == 0


def test_doctor_reports_a_module_that_cannot_be_imported(project) -> None:
    found = project.json("doctor", project.service("raise RuntimeError('no luck')"))
    assert found["starts"] is False
    assert "no luck" in found["diagnoses"][-1]["message"]


# -- canary


CANARY = "hunter2canary"


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("command", ["run", "config", "doctor", "plugins", "dev"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_command_ever_shows_a_secret(project, command: str, right: bool, form: tuple[str, ...]) -> None:
    if command == "run" and form:
        form = ("--verbose",)
    wrong = "" if right else f"level = 'x'\npassword = '{CANARY}'\n"
    project.settings(f"[app]\n{wrong}api_key = '{CANARY}'\n[server]\ndsn = 'postgres://u:{CANARY}@127.0.0.1:1/db'\n")
    (project.folder / ".env").write_text(f"CORTEN_APP__DSN=redis://:{CANARY}@h\n")
    ends_at_once = "import anyio\n@app.task\nasync def end() -> None:\n    app.stop()\n"
    app = 'app = App("demo", settings=Own, plugins=[GoodPlugin], autoload=False)\n'
    arguments = [command, project.service(PLUGIN + app + ends_at_once), *form]
    if command in ("run", "dev", "config", "doctor"):
        arguments += ["--set", f"server.dsn=postgres://u:{CANARY}@127.0.0.1:1/db"]
    result = project.corten(*arguments, environ={"CORTEN_APP__TOKEN": CANARY})
    assert CANARY not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception


# -- all


def test_the_module_of_each_command_holds_that_command_alone() -> None:
    import corten.cli

    folder = Path(corten.cli.__file__).parent / "commands"
    for command in COMMANDS:
        assert (folder / f"{command}.py").read_text().count("@click.command()") == 1


def test_every_command_is_documented() -> None:
    documented = (Path(__file__).parents[3] / "docs" / "reference" / "commands.md").read_text()
    for command in COMMANDS:
        assert f"`corten {command}" in documented


def test_config_shows_what_a_profile_came_to_with_every_number(project) -> None:
    project.settings(
        '[pipelines.base]\nextends = "database"\nreplace = [{ policy = "timeout", seconds = "1s" }]\n'
        '[pipelines.users]\nextends = "base"\n'
    )
    entries = project.json("config", project.service(), "pipelines")
    (found,) = [entry for entry in entries if entry["path"] == "pipelines.users.policies"]
    assert found["source"] == "profile database and [pipelines.base]"
    retry, breaker, _, timeout = found["value"]
    assert retry["max_attempts"] == 3
    assert breaker["open_for"] == "10s"
    assert timeout == {"policy": "timeout", "seconds": "1s"}


def test_doctor_finds_that_nothing_is_installed_that_watches_files(project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corten.app.settings.reload.can_watch", lambda: False)
    project.settings("[reload]\nwatch = true\n")
    result = project.corten("doctor", project.service(), "--no-connect")
    assert result.exit_code == 1
    assert "pip install 'corten[reload]'" in " ".join(result.output.split())
