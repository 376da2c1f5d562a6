"""Every setting, Corten's own and the plugins', stands in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from corten.app import App
from corten.app.internals import internals_of

ROOT = Path(__file__).parents[2]
PLUGINS = ("postgres", "redis", "kafka", "health", "tracing", "ops")


def settings() -> list[tuple[str, str]]:
    """Section and field of every setting of what is in this repository."""
    app: App[None] = App("test", autoload=PLUGINS, config=None)
    return [
        (section.name, field.encode_name)
        for section in internals_of(app).settings.sections()
        for field in msgspec.structs.fields(section.type)
    ]


@pytest.mark.parametrize(("section", "field"), settings())
def test_a_setting_is_documented(section: str, field: str) -> None:
    if section in PLUGINS:
        pages = (ROOT / "docs" / "plugins" / f"{section}.md", ROOT / "plugins" / section / "README.md")
        forms = f"`{field}`"
    else:
        pages = (ROOT / "docs" / "reference" / "settings.md",)
        # `tasks.window`, `pipelines.NAME.policies`, `flags.NAME`; in a list the section is said once: `.window`
        forms = rf"`({section})?(\.NAME)?\.?{field}(\.NAME)?`"
    assert any(re.search(forms, page.read_text("utf-8")) for page in pages)
