"""Signatures of guarded functions, as source text for wrappers."""

from __future__ import annotations

import functools
import inspect
import keyword
import typing
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

import msgspec

Flavor = Literal["sync", "coroutine", "awaitable", "async_generator"]
"""Whether calling a function gives a value, a coroutine, another awaitable, or an async generator."""

_EMPTY = inspect.Parameter.empty


class FunctionSignature(msgspec.Struct, frozen=True):
    """How a function is called, as source text of parameters' names only."""

    flavor: Flavor
    names: tuple[str, ...]
    head: str
    """Parameters as in a ``def``, with ``None`` for defaults, which are set on the function."""
    call: str
    """Arguments as in a call."""
    args: str
    """Positional arguments as a tuple."""
    kwargs: str
    """Keyword arguments as a dict."""
    key: str
    """The key of a cache: the only argument itself, or a tuple of all, without ``self`` and ``cls``.

    Names of Corten's own functions begin with ``{_}``, for a prefix that no parameter has.
    """
    inspected: inspect.Signature | None
    """None: the function has no readable signature."""


def flavor_of(function: Callable[..., Any]) -> Flavor:
    """Return what a call of a function returns.

    :raises TypeError: it is a sync generator function
    """
    called = getattr(_of_partial(function), "__call__", None)  # noqa: B004
    if inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(called):
        return "async_generator"
    if inspect.isgeneratorfunction(function) and not _flags(function) & inspect.CO_ITERABLE_COROUTINE:
        raise TypeError(
            f"{name_of(function)} is a sync generator function: a pipeline guards calls that end with a result, and "
            "async generators; write it with `async def`, or put `with pipeline.guard():` into it"
        )
    if _flags(function) & inspect.CO_COROUTINE:
        return "coroutine"
    if inspect.iscoroutinefunction(function) or _flags(function) & inspect.CO_ITERABLE_COROUTINE:
        return "awaitable"
    if inspect.iscoroutinefunction(called):
        return "awaitable"
    if inspect.iscoroutinefunction(inspect.unwrap(function)):  # a sync decorator around an async function
        return "awaitable"
    return "awaitable" if _is_awaitable(returns(function)) else "sync"


def _of_partial(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _flags(function: Callable[..., Any]) -> int:
    function = inspect.unwrap(_of_partial(function), stop=lambda each: hasattr(each, "__code__"))
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return 0 if code is None else int(code.co_flags)


def returns(function: Callable[..., Any]) -> Any:
    """Return the annotated type of the result, or ``Any``."""
    try:
        return unaliased(typing.get_type_hints(inspect.unwrap(function)).get("return", Any))
    except Exception:  # noqa: BLE001 - a name that only type checkers know
        return Any


def unaliased(annotation: Any) -> Any:
    """Return the type behind an alias of a ``type`` statement."""
    while type(alias := typing.get_origin(annotation) or annotation).__name__ == "TypeAliasType":
        arguments = typing.get_args(annotation)
        annotation = alias.__value__[arguments] if arguments else alias.__value__
    return annotation


def _is_awaitable(annotation: Any) -> bool:
    origin = typing.get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Awaitable | Coroutine)


def result_type(function: Callable[..., Any], flavor: Flavor) -> Any:
    """Return the type of the result, awaited where calls are awaited."""
    annotation = returns(function)
    if flavor in ("coroutine", "sync") or not _is_awaitable(annotation):
        return annotation
    arguments = typing.get_args(annotation)
    return arguments[-1] if arguments else Any


def name_of(function: Callable[..., Any]) -> str:
    """Return the qualified name, for errors and logs."""
    return str(getattr(function, "__qualname__", None) or repr(function))


def signature_of(function: Callable[..., Any]) -> FunctionSignature:
    """Read how a function is called; without a signature, with any arguments.

    :raises TypeError: it is a sync generator function
    """
    flavor = flavor_of(function)
    try:
        inspected = inspect.signature(function)
    except (TypeError, ValueError):
        inspected = None
    parameters = [] if inspected is None else list(inspected.parameters.values())
    if inspected is None or not all(
        each.name.isidentifier() and not keyword.iskeyword(each.name) for each in parameters
    ):
        return FunctionSignature(
            flavor,
            ("args", "kwargs"),
            "*args, **kwargs",
            "*args, **kwargs",
            "(*args,)",
            "{**kwargs}",
            "({_}len(args), *args, *{_}sorted(kwargs.items()))",
            inspected,
        )
    head: list[str] = []
    call: list[str] = []
    args: list[str] = []
    kwargs: list[str] = []
    key: list[str] = []
    previous: Any = None
    for index, each in enumerate(parameters):
        if previous is inspect.Parameter.POSITIONAL_ONLY and each.kind is not inspect.Parameter.POSITIONAL_ONLY:
            head.append("/")
        if each.kind is inspect.Parameter.KEYWORD_ONLY and previous not in (
            inspect.Parameter.KEYWORD_ONLY,
            inspect.Parameter.VAR_POSITIONAL,
        ):
            head.append("*")
        previous = each.kind
        name = each.name
        if each.kind is inspect.Parameter.VAR_POSITIONAL:
            head.append(f"*{name}")
            call.append(f"*{name}")
            args.append(f"*{name}")
            key.append(f"*{name}" if len(parameters) == 1 else name)
        elif each.kind is inspect.Parameter.VAR_KEYWORD:
            head.append(f"**{name}")
            call.append(f"**{name}")
            kwargs.append(f"**{name}")
            key.append(f"(*{{_}}sorted({name}.items()),)")
        else:
            head.append(name if each.default is _EMPTY else f"{name}=None")
            if each.kind is inspect.Parameter.KEYWORD_ONLY:
                call.append(f"{name}={name}")
                kwargs.append(f"{name!r}: {name}")
            else:
                call.append(name)
                args.append(name)
            if index > 0 or name not in ("self", "cls"):
                key.append(name)
    if previous is inspect.Parameter.POSITIONAL_ONLY:
        head.append("/")
    alone = len(key) == 1 and key[0].isidentifier()
    return FunctionSignature(
        flavor,
        tuple(each.name for each in parameters),
        ", ".join(head),
        ", ".join(call),
        f"({', '.join(args)},)" if args else "()",
        f"{{{', '.join(kwargs)}}}",
        key[0] if alone else f"({', '.join(key)},)" if key else "()",
        inspected,
    )
