"""Consumers of an App, as tasks of the intake with health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corten.app.internals import internals_of
from corten.errors import SettingsError, SettingsProblem
from corten.health import Check
from corten.messages.runner import ConsumerRunner
from corten.plugins.descriptions import Task

if TYPE_CHECKING:
    from corten.app.app import App


def consumer_tasks(app: App[Any]) -> list[Task]:
    """Return a task for each consumer, connected with its source.

    :raises SettingsError: a consumer's source does not exist
    """
    internals = internals_of(app)
    sources = internals.life.sources
    plugins, known = internals.plugins, ", ".join(sorted(sources)) or "none"
    problems = [
        SettingsProblem(
            consumer.source,
            f"consumer {consumer.name!r} needs messages from {consumer.source!r}, and no plugin offers that",
            f"a message source, one of: {known}{plugins.hint_for_inactive(consumer.source)}",
        )
        for consumer in internals.components.consumers
        if consumer.source not in sources
    ]
    if problems:
        raise SettingsError(problems)
    observers = [each.message for each in app.observers if each.message is not None]
    tasks: list[Task] = []
    for consumer in internals.components.consumers:
        runner = ConsumerRunner(
            consumer,
            sources[consumer.source],
            store=app.dead_letters,
            clock=app.clock,
            registry=app.registry,
            emit=app.events.emit,
            observers=observers,
            on_error=app.errors.report,
        )
        app.health.add(Check(f"consumer.{consumer.name}", runner.check, critical=False))
        tasks.append(Task(f"consumer.{consumer.name}", runner.run, runner.stop, phase="intake"))
    return tasks
