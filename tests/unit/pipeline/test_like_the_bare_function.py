"""A guarded function behaves like the bare one, whatever the policies and whatever kind of function it is."""

from __future__ import annotations

import contextvars
import copy
import functools
import gc
import inspect
import pickle
import traceback
import typing
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import anyio
import pytest

from corten.errors import CortenError, RateLimited
from corten.metrics import Registry
from corten.pipeline import Pipeline
from corten.policies import (
    AdaptiveLimit,
    Bulkhead,
    Cache,
    Chaos,
    CircuitBreaker,
    Fallback,
    Hedge,
    Middleware,
    Policy,
    RateLimit,
    Retry,
    Timeout,
)

pytestmark = pytest.mark.anyio

Make = Callable[..., Pipeline]

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


async def passing(call_next: Callable[[], Awaitable[Any]], details: object) -> Any:
    return await call_next()


def passing_plainly(call_next: Callable[[], Any], details: object) -> Any:
    return call_next()


CORE: tuple[Policy, ...] = (
    Timeout(30),
    Retry(max_attempts=2, initial_backoff=0, jitter=0),
    CircuitBreaker(failures=1000),
    RateLimit("1000/s", burst=1000),
    Bulkhead(10),
    Timeout(5),
)
PLAIN: tuple[Policy, ...] = tuple(each for each in CORE if not isinstance(each, Timeout))
SETS: dict[str, tuple[Policy, ...]] = {
    "core": CORE,
    "one": (Bulkhead(10),),
    "cached": (Cache(ttl=60), *CORE),
    "fallback": (Fallback(None, on=(ZeroDivisionError,)), *CORE),
    "last good": (Fallback(last_good=True, on=(ZeroDivisionError,)), Bulkhead(10)),
    "adaptive": (CircuitBreaker(failures=1000), AdaptiveLimit(), Timeout(5)),
    "hedge": (Hedge(delay=10), Bulkhead(10)),
    "cached inside": (CircuitBreaker(failures=1000), Cache(ttl=60)),
    "middleware": (Retry(max_attempts=1), Middleware(passing), Bulkhead(10)),
    "chaos": (*CORE, Chaos(error_rate=0.0, latency_rate=0.0)),
}
PLAIN_SETS: dict[str, tuple[Policy, ...]] = {
    "core": PLAIN,
    "cached": (Cache(ttl=60), *PLAIN),
    "middleware": (Middleware(passing_plainly), Bulkhead(10)),
    "chaos": (*PLAIN, Chaos()),
}


@pytest.fixture(params=SETS)
def guard(request: pytest.FixtureRequest, pipeline: Make) -> Pipeline:
    made = pipeline(*SETS[request.param])
    made.allow_chaos()
    return made


@pytest.fixture(params=PLAIN_SETS)
def plain_guard(request: pytest.FixtureRequest, pipeline: Make) -> Pipeline:
    made = pipeline(*PLAIN_SETS[request.param])
    made.allow_chaos()
    return made


module_level = Pipeline("module", Bulkhead(10), registry=Registry())


@module_level
async def load(user: int, *, deep: bool = False) -> str:
    """Load a user."""
    return f"{user} {deep}"


@module_level
def compute(x: int) -> int:
    return 2 * x


@module_level
async def rows(count: int) -> AsyncIterator[int]:
    for each in range(count):
        yield each


class Store:
    @module_level
    async def load(self, user: int) -> str:
        return f"{user}"

    @module_level
    @staticmethod
    def double(x: int) -> int:
        return 2 * x

    @module_level
    @classmethod
    async def name(cls) -> str:
        return cls.__name__


class Special(Store):
    pass


@pytest.mark.parametrize("function", [load, compute, rows, Store.load, Store.double])
def test_it_is_pickled_copied_and_found_by_reference(function: Any) -> None:
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is function
    assert repr(function).startswith(f"<function {function.__qualname__} at 0x")


async def test_it_is_what_inspect_says_of_the_bare_one(guard: Pipeline) -> None:
    async def bare(user: int, /, kind: str = "a", *more: int, deep: bool = False, **rest: int) -> tuple[int, ...]:
        """Doc."""
        return (user, *more)

    guarded = guard(bare)
    for question in (
        inspect.iscoroutinefunction,
        inspect.isasyncgenfunction,
        inspect.isfunction,
        inspect.isroutine,
        inspect.signature,
        inspect.getdoc,
        inspect.getmodule,
        inspect.getsource,
        typing.get_type_hints,
    ):
        assert question(guarded) == question(bare), question.__name__
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__"):
        assert getattr(guarded, name) == getattr(bare, name), name
    coroutine = guarded(1)
    assert inspect.iscoroutine(coroutine)
    assert (coroutine.__name__, coroutine.__qualname__) == (bare.__name__, bare.__qualname__)
    assert await coroutine == (1,)


async def test_wrong_arguments_are_the_same_error_and_cost_nothing(guard: Pipeline) -> None:
    async def bare(user: int, *, deep: bool = False) -> int:
        return user

    guarded: Any = guard(bare)
    for args, kwargs in (((), {}), ((1, 2), {}), ((1,), {"shallow": True}), ((1,), {"user": 2})):
        with pytest.raises(TypeError) as ours:
            guarded(*args, **kwargs)
        with pytest.raises(TypeError) as theirs:
            cast("Any", bare)(*args, **kwargs)
        assert str(ours.value).rpartition(".")[2] == str(theirs.value).rpartition(".")[2]
    assert guard.statistics().calls == 0


async def test_a_coroutine_that_nobody_awaits_warns_by_the_functions_name(guard: Pipeline) -> None:
    async def forgotten(user: int) -> int:
        return user

    guarded = guard(forgotten)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        cast("Any", guarded)(1)
        gc.collect()
    assert [str(each.message) for each in said] == [f"coroutine '{forgotten.__qualname__}' was never awaited"]
    assert guard.statistics().calls == 0


async def test_context_variables_go_in_and_come_out(guard: Pipeline) -> None:
    async def inside(step: bool) -> str:
        seen = variable.get()
        if step:
            await anyio.lowlevel.checkpoint()
        variable.set("inside")
        return seen

    guarded = guard(inside)
    for step in (False, True):
        token = variable.set("caller")
        assert await guarded(step) == "caller"
        assert variable.get() == "inside"
        variable.reset(token)


@pytest.mark.parametrize("suspends", [False, True])
@pytest.mark.parametrize("name", SETS)
async def test_at_most_two_frames_of_ours_stand_between_caller_and_function(
    pipeline: Make, name: str, suspends: bool
) -> None:
    guard = pipeline(*SETS[name])

    async def deeper(x: int) -> None:
        if suspends:
            await anyio.lowlevel.checkpoint()
        raise LookupError(x)

    async def fails(x: int) -> None:
        await deeper(x)

    with pytest.raises(LookupError) as raised:
        await guard(fails)(1)
    frames = traceback.extract_tb(raised.value.__traceback__)
    names = [each.name for each in frames]
    assert names[-2:] == ["fails", "deeper"]
    ours = [each for each in frames if each.filename != __file__]
    assert frames[0].filename == __file__, "it begins at the caller's line"
    assert len(ours) <= 2, traceback.format_list(ours)
    assert all(each.line for each in frames), "each frame shows its text"
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None


async def test_partials_of_it_and_it_of_partials(guard: Pipeline) -> None:
    async def bare(a: int, b: int, *, c: int = 0) -> tuple[int, int, int]:
        return a, b, c

    assert await guard(functools.partial(bare, 1, c=3))(2) == (1, 2, 3)
    assert await functools.partial(guard(bare), 1)(2, c=4) == (1, 2, 4)
    method = functools.partialmethod(guard(bare), c=5)
    owner = type("Owner", (int,), {"method": method})
    assert (await owner(7).method(2))[1:] == (2, 5)


async def test_callable_objects(guard: Pipeline) -> None:
    class Doubling:
        """Doubles."""

        async def __call__(self, x: int) -> int:
            return 2 * x

    guarded = guard(Doubling())
    assert await guarded(4) == 8
    assert inspect.iscoroutinefunction(guarded)
    assert list(inspect.signature(guarded).parameters) == ["x"]


async def test_decorators_on_either_side(guard: Pipeline) -> None:
    def shouting(function: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> str:
            return (await function(*args, **kwargs)).upper()

        return wrapper

    async def bare(word: str) -> str:
        return word

    for function in (guard(shouting(bare)), shouting(guard(bare)), guard(functools.lru_cache(bare))):
        assert inspect.signature(function) == inspect.signature(bare)
    assert await guard(shouting(bare))("hello") == "HELLO"
    assert await shouting(guard(bare))("hello") == "HELLO"
    assert inspect.unwrap(guard(shouting(bare))) is bare


async def test_methods_of_every_kind(guard: Pipeline) -> None:
    class Users:
        @guard
        async def bound(self, x: int) -> tuple[str, int]:
            return type(self).__name__, x

        @guard
        @staticmethod
        async def static(x: int) -> int:
            return x

        @staticmethod
        @guard
        async def static_inside(x: int) -> int:
            return x

        @guard
        @classmethod
        async def of_class(cls, x: int) -> tuple[str, int]:
            return cls.__name__, x

        @classmethod
        @guard
        async def of_class_inside(cls, x: int) -> tuple[str, int]:
            return cls.__name__, x

    class Derived(Users):
        pass

    for owner in (Users, Users(), Derived, Derived()):
        assert await owner.static(1) == await owner.static_inside(1) == 1
    assert await Users().bound(1) == await Users.of_class(1) == await Users.of_class_inside(1) == ("Users", 1)
    assert isinstance(vars(Users)["static"], staticmethod)
    assert isinstance(vars(Users)["of_class"], classmethod)
    assert inspect.ismethod(Users().bound)
    assert Users().bound.__self__.__class__ is Users  # type: ignore[attr-defined]


async def test_methods_of_module_level_classes() -> None:
    assert Store.double(2) == Special().double(2) == 4
    assert (await Store.name(), await Special.name()) == ("Store", "Special")
    assert await Store().load(3) == "3"


def test_plain_functions_are_plain(plain_guard: Pipeline) -> None:
    def bare(a: int, b: int = 2, *, c: int = 3) -> tuple[int, int, int]:
        """Doc."""
        return a, b, c

    guarded = plain_guard(bare)
    assert not inspect.iscoroutinefunction(guarded)
    assert inspect.signature(guarded) == inspect.signature(bare)
    assert (guarded.__name__, guarded.__doc__) == ("bare", "Doc.")
    assert guarded(1, c=4) == (1, 2, 4)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        guarded()  # type: ignore[call-arg]


@pytest.mark.parametrize("name", PLAIN_SETS)
def test_plain_functions_have_at_most_two_frames_of_ours_in_tracebacks(pipeline: Make, name: str) -> None:
    def fails() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError) as raised:
        pipeline(*PLAIN_SETS[name])(fails)()
    names = [each.name for each in traceback.extract_tb(raised.value.__traceback__)]
    assert names[-1] == "fails"
    assert len(names) <= 4, names


def test_plain_functions_lambdas_and_partials_are_called_without_decorating(pipeline: Make) -> None:
    guard = pipeline(RateLimit("1/h", burst=4))
    assert guard.call_sync(lambda x: 2 * x, 4) == 8
    assert guard.call_sync(functools.partial(int, base=2), "101") == 5
    assert guard.call_sync("a b".split) == ["a", "b"]

    def with_arguments(*args: int, **kwargs: int) -> tuple[Any, ...]:
        return args, kwargs

    assert guard.call_sync(with_arguments, 1, x=2) == ((1,), {"x": 2})
    with pytest.raises(RateLimited):
        guard.call_sync(with_arguments)


def test_a_function_keeps_its_wrapper_for_calls(pipeline: Make) -> None:
    guard, calls = pipeline(Cache()), []

    def count(x: int) -> int:
        calls.append(x)
        return x

    assert [guard.call_sync(count, 1) for _ in range(3)] == [1, 1, 1]
    assert calls == [1], "its cache stayed"


async def test_what_has_to_be_awaited_is_no_plain_call(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1))
    with pytest.raises(TypeError, match=r"load is not a sync function: write `await pipeline.call\(…\)`"):
        cast("Any", guard.call_sync)(load, 1)
    with pytest.raises(TypeError, match="rows is not a sync function"):
        guard.call_sync(rows, 1)
    assert await guard.call(load, 1) == "1 False"
    assert guard.call_sync(compute, 1) == 2


async def test_a_plain_call_and_an_awaited_one_of_the_same_function_do_not_mix(pipeline: Make) -> None:
    guard = pipeline(Bulkhead(1))

    def either() -> int:
        return 1

    assert guard.call_sync(either) == 1
    assert await guard.call(either) == 1  # type: ignore[arg-type]
    assert guard.call_sync(either) == 1


def test_before_settings_came_a_plain_call_is_refused_in_words() -> None:
    with pytest.raises(CortenError, match="has no policies yet"):
        Pipeline("p", registry=Registry()).call_sync(int)
