"""Adding a policy: a struct, a layer or stage, a control, and the line that registers it. All else follows."""

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import anyio
import msgspec
import pytest

from corten.clock import Clock
from corten.errors import DeadlineExceeded, Refused
from corten.metrics import Registry
from corten.metrics.measured import counter
from corten.pipeline import Pipeline
from corten.pipeline.controls.control import Control
from corten.pipeline.functions import wrapper_texts
from corten.pipeline.functions.signature import FunctionSignature
from corten.pipeline.layers import LAYERS, PipelineContext, WrapContext, Wrapped
from corten.pipeline.stages import STAGES, Compiled
from corten.pipeline.stages import timeout as timeout_stage
from corten.policies import Policy, Retry, Timeout
from corten.policies.fields.struct import PolicyFields
from corten.testing import FakeClock

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
POLICIES = typing.get_args(Policy)

Make = Callable[..., Pipeline]


class Quota(PolicyFields, frozen=True, tag_field="policy", tag="quota"):
    """Admits a number of calls, and refuses all others."""

    guards_blocks: ClassVar[bool] = True

    calls: int


class QuotaStatistics(msgspec.Struct, frozen=True):
    admitted: Annotated[int, counter("Calls that were admitted")]


class QuotaControl(Control):
    def __init__(self) -> None:
        self.admitted = 0

    def statistics(self) -> QuotaStatistics:
        return QuotaStatistics(self.admitted)


class QuotaLayer:
    kind = Quota.kind

    def __init__(self, policy: Quota) -> None:
        self.policy = policy
        self.control = QuotaControl()

    def keep(self, state: Control | None) -> Control:
        if isinstance(state, QuotaControl):
            self.control = state
        return self.control

    def objection(self, _signature: FunctionSignature, _function: str) -> str | None:
        return None

    def admission(self, context: PipelineContext) -> QuotaAdmission:
        return QuotaAdmission(self, context)

    def wrap(self, wrap_context: WrapContext) -> Wrapped:
        admission = self.admission(wrap_context.pipeline)
        is_sync = wrap_context.signature.flavor == "sync"

        def admit(_: None, inputs: tuple[Any, ...] = ()) -> Awaitable[None] | None:
            return admission.before_sync(inputs) if is_sync else admission.before(inputs)

        return Wrapped(wrapper_texts.ADMITTED, {"function": wrap_context.inside, "admit": admit})


class QuotaAdmission:
    inputs = ()

    def __init__(self, layer: QuotaLayer, context: PipelineContext) -> None:
        self._layer = layer
        self._context = context

    async def before(self, inputs: tuple[Any, ...]) -> None:
        self.before_sync(inputs)

    def before_sync(self, _inputs: tuple[Any, ...]) -> None:
        if self._layer.control.admitted >= self._layer.policy.calls:
            error = Refused(self._context.name, Quota.kind, "the quota is used up")
            self._context.events.emit("refused", Quota.kind, error)
            raise error
        self._layer.control.admitted += 1


class Deadline(PolicyFields, frozen=True, tag_field="policy", tag="deadline"):
    """A time limit in milliseconds, by a stage of the core."""

    milliseconds: int


class deadline_stage:  # noqa: N801 - in place of a module
    objection = staticmethod(timeout_stage.objection)

    @staticmethod
    def compile_stage(policy: Deadline, state: Any, clock: Clock) -> Compiled:
        return timeout_stage.compile_stage(Timeout(policy.milliseconds / 1000), state, clock)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[Any, Any]", LAYERS), Quota, QuotaLayer)
    monkeypatch.setitem(cast("dict[Any, Any]", STAGES), Deadline, lambda: deadline_stage)


async def load(number: int) -> int:
    return number


def compute(number: int) -> int:
    return number


async def test_a_new_layer_guards_functions_and_refuses_by_its_kind(pipeline: Make) -> None:
    guard = pipeline(Retry(max_attempts=1), Quota(2))
    assert await guard(load)(1) == 1
    assert guard.call_sync(compute, 2) == 2
    with pytest.raises(Refused, match="pipeline 'p': quota refused the call: the quota is used up"):
        await guard.call(load, 3)


async def test_a_new_layer_guards_blocks_because_it_says_so(pipeline: Make) -> None:
    guard = pipeline(Quota(1))
    async with guard.guard():
        pass
    with pytest.raises(Refused), guard.guard():
        pytest.fail("the block must not begin")
    with pytest.raises(ValueError, match="deadline can't guard a block"):
        pipeline(Deadline(5)).guard()


async def test_its_state_stays_when_the_policies_are_replaced(pipeline: Make) -> None:
    guard = pipeline(Quota(1))
    assert await guard.call(load, 1) == 1
    guard.configure([Retry(max_attempts=1), Quota(2)])
    assert await guard.call(load, 2) == 2
    with pytest.raises(Refused):
        await guard.call(load, 3)


async def test_its_statistics_are_metrics(pipeline: Make, registry: Registry) -> None:
    guard = pipeline(Quota(2))
    await guard.call(load, 1)
    assert 'corten_quota_admitted_total{pipeline="p"} 1' in registry.render()


async def test_a_new_stage_runs_in_the_core(pipeline: Make, clock: FakeClock) -> None:
    guard = pipeline(Deadline(5))

    async def slow() -> None:
        await clock.sleep(1)

    async with anyio.create_task_group() as group:

        async def call() -> None:
            with pytest.raises(DeadlineExceeded):
                await guard.call(slow)

        group.start_soon(call)
        await clock.advance(2)


def test_settings_read_it_by_its_kind() -> None:
    assert msgspec.convert({"policy": "quota", "calls": 3}, Quota | Timeout) == Quota(3)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: str(policy.kind))
def test_each_policy_has_a_file_in_each_row_and_one_registration(policy: type[PolicyFields]) -> None:
    kind = policy.kind
    assert policy.__module__ == f"corten.policies.{kind}"
    assert (policy in LAYERS) != (policy in STAGES), "a policy is a layer or a stage"
    room = ROOT / "python" / "corten" / "pipeline" / ("layers" if policy in LAYERS else "stages")
    assert (room / f"{kind}.py").is_file() or (room / kind / "__init__.py").is_file()
    assert (ROOT / "docs" / "policies" / f"{kind}.md").is_file()
    assert (ROOT / "tests" / "unit" / "policies" / f"test_{kind}.py").is_file()
