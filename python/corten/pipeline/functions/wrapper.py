"""The function that stands in for the user's, written for its own signature.

The one module that may ``exec``: the text is fixed but for the parameters' names, which are checked to be identifiers.
Everything it works with is in globals of its own, so that another configuration is another dictionary entry.
"""

from __future__ import annotations

import builtins
import itertools
import linecache
import textwrap
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

from corten.pipeline.functions.signature import FunctionSignature, name_of
from corten.pipeline.functions.traceback import trimmed
from corten.pipeline.stages.stage import Input

_serial = itertools.count(1)

# In each text: {names} the parameters, {call} the arguments, {args} and {kwargs} those as data, {key} the cache's key,
# {inputs} what policies want to know of the call. A prefix keeps our names away from the parameters'. After an `await`
# globals may be those of other policies: what the call still needs by then is taken before.
_RUN = """\
    {_}result = {_}run({_}function({call}){inputs})
    if {_}type({_}result) is {_}Call:
        {_}go_on, {_}make = {_}carry_out, {_}function
        await {_}result
        {_}result = {_}result.result()
        if {_}type({_}result) is {_}Call:
            return await {_}go_on({_}result, {_}make, {args}, {kwargs}{inputs})
    return {_}result
"""
_OBSERVED = """\
    with {_}observe():
        {_}result = {_}run({_}function({call}){inputs})
        if {_}type({_}result) is {_}Call:
            {_}go_on, {_}make = {_}carry_out, {_}function
            await {_}result
            {_}result = {_}result.result()
            if {_}type({_}result) is {_}Call:
                return await {_}go_on({_}result, {_}make, {args}, {kwargs}{inputs})
        return {_}result
"""
_CACHED = """\
    {_}result = {_}lookup({key})
    if {_}result is not {_}MISS:
        return {_}result
    return await {_}on_miss({key}, {args}, {kwargs})
"""
_BLOCKING = """\
    return {_}run_sync({_}function, {args}, {kwargs}{inputs})
"""
_BLOCKING_OBSERVED = """\
    with {_}observe():
        return {_}run_sync({_}function, {args}, {kwargs}{inputs})
"""
_BLOCKING_CACHED = """\
    {_}result = {_}lookup({key})
    if {_}result is not {_}MISS:
        return {_}result
    return {_}on_miss({key}, {args}, {kwargs})
"""
_LAYERED = """\
    return await {_}around({args}, {kwargs}{inputs})
"""
_LAYERED_BLOCKING = """\
    return {_}around({args}, {kwargs}{inputs})
"""
_BYPASSED = """\
    return await {_}function({call})
"""
_BYPASSED_BLOCKING = """\
    return {_}function({call})
"""
_KEY = """\
    return {key}
"""
_ADMITTED = """\
    await {_}admit(None{inputs})
    return await {_}function({call})
"""
_ADMITTED_BLOCKING = """\
    {_}admit(None{inputs})
    return {_}function({call})
"""
# An async generator of its own, for nothing else looks like one. What it is sent goes to the user's, step by step.
_ITERATED = """\
    {_}iteration = {_}begin({args}, {kwargs}{inputs})
    {_}verb, {_}sent = "asend", None
    try:
        while ({_}item := await {_}iteration.step({_}verb, {_}sent)) is not {_}MISS:
            try:
                {_}verb, {_}sent = "asend", (yield {_}item)
            except {_}GeneratorExit:
                raise
            except {_}BaseException as {_}error:
                {_}verb, {_}sent = "athrow", {_}error
    except {_}GeneratorExit:
        await {_}iteration.close()
        raise
"""
_HEDGED = """\
    if "trio" in {_}modules and {_}on_trio():
        return await {_}hedge_on_trio({args}, {kwargs})
    {_}context = {_}copy_context()
    {_}started = {_}now()
    {_}result = {_}run({_}function({call}))
    if {_}type({_}result) is {_}Call:
        return await {_}hedge({_}result, {_}started, {_}context, {args}, {kwargs})
    return {_}result
"""
_HEDGED_MEASURED = """\
    if "trio" in {_}modules and {_}on_trio():
        return await {_}hedge_on_trio({args}, {kwargs})
    {_}context = {_}copy_context()
    {_}started = {_}now()
    {_}result = {_}run({_}function({call}))
    if {_}type({_}result) is {_}Call:
        return await {_}hedge({_}result, {_}started, {_}context, {args}, {kwargs})
    {_}took({_}now() - {_}started)
    return {_}result
"""
_UNCONFIGURED_ITERATED = """\
    {_}refuse()
    yield
"""
_UNCONFIGURED = """\
    {_}refuse()
"""
# Around any of them. A block that is tried costs nothing while nothing is raised.
_TRIMMING = """\
    except {_}BaseException as {_}error:
        {_}error.__traceback__ = {_}trimmed({_}error)
        raise
"""
_TEXTS = {
    "run": _RUN,
    "observed": _OBSERVED,
    "cached": _CACHED,
    "blocking": _BLOCKING,
    "sync_observed": _BLOCKING_OBSERVED,
    "sync_cached": _BLOCKING_CACHED,
    "layered": _LAYERED,
    "layered_sync": _LAYERED_BLOCKING,
    "bypassed": _BYPASSED,
    "bypassed_sync": _BYPASSED_BLOCKING,
    "key": _KEY,
    "admitted": _ADMITTED,
    "admitted_sync": _ADMITTED_BLOCKING,
    "hedged": _HEDGED,
    "hedged_measured": _HEDGED_MEASURED,
    "unconfigured": _UNCONFIGURED,
    "iterated": _ITERATED,
    "unconfigured_iterated": _UNCONFIGURED_ITERATED,
}


def _remembered(text: str) -> str:
    """The same, remembering every result that is not a fallback's."""
    head, last = text[: text.rindex("return {_}result")], text.rindex("\n", 0, -1) + 1
    indent = text[last : text.rindex("return {_}result")]
    return f"{head}{{_}}remember({{args}}, {{kwargs}}, {{_}}result)\n{indent}return {{_}}result\n"


_TEXTS.update({f"{name}_remembered": _remembered(_TEXTS[name]) for name in ("run", "observed")})


def _forget(files: list[str]) -> None:
    for file in files:
        linecache.cache.pop(file, None)


class Wrapper:
    """A function of a signature, whose text and globals can be changed while others hold it.

    :param function: the user's function, whose name, documentation and signature it takes
    :param signature: how that is called
    :param title: for tracebacks, in place of a file name
    """

    def __init__(self, function: Callable[..., Any], signature: FunctionSignature, title: str) -> None:
        self.signature = signature
        self._prefix = "_corten_"
        while any(name.startswith(self._prefix) for name in signature.names):
            self._prefix = f"_{self._prefix}"
        self._title = title
        self._name = str(getattr(function, "__name__", type(function).__name__))
        self._qualname = name_of(function)
        self._codes: dict[tuple[str, tuple[str, ...], str | None, bool], CodeType] = {}
        self._globals: dict[str, Any] = {
            "__name__": getattr(function, "__module__", __name__),
            "__builtins__": builtins.__dict__,
            # By names of our own: a parameter may be called as the builtin is.
            f"{self._prefix}len": len,
            f"{self._prefix}sorted": sorted,
        }
        self._files: list[str] = []
        unconfigured = "unconfigured_iterated" if signature.flavor == "async_generator" else "unconfigured"
        self.function = FunctionType(self._code(unconfigured), self._globals, self._name)
        self._dress(function)
        weakref.finalize(self.function, _forget, self._files).atexit = False

    def become(
        self,
        text: str,
        names: Mapping[str, Any],
        inputs: Sequence[Input] = (),
        key: str | None = None,
        *,
        trims: bool = False,
    ) -> None:
        """Run another text with these globals from the next call on; calls under way end as they began.

        :param key: what makes a cache's key, of parameters' names and our own; by default the signature's
        :param trims: take frames of ours out of the tracebacks of errors that pass by
        """
        if trims:
            names = {**names, "BaseException": BaseException, "trimmed": trimmed}
        expressions: list[str] = []
        for number, each in enumerate(inputs):
            if isinstance(each, str):
                expressions.append(each)
            else:
                names = {**names, f"input{number}": each}
                expressions.append(f"{self._prefix}input{number}({self.signature.call})")
        code = self._code(text, tuple(expressions), key, trims=trims)
        self._globals.update({f"{self._prefix}{name}": value for name, value in names.items()})
        if self.function.__code__ is not code:
            self.function.__code__ = code

    def keep(self, thing: object) -> None:
        """Keep something alive as long as the function is."""
        self._globals[f"{self._prefix}kept"] = thing

    def _code(
        self, text: str, inputs: tuple[str, ...] = (), key: str | None = None, *, trims: bool = False
    ) -> CodeType:
        """The compiled text; made once."""
        found = self._codes.get((text, inputs, key, trims))
        if found is not None:
            return found
        signature = self.signature
        define = "def" if signature.flavor == "sync" else "async def"
        tail = f", ({', '.join(inputs)},)" if inputs else ""
        source = ""
        if any("(" in each for each in inputs):
            # A function of the user's may raise: then no coroutine may have been made yet. It is asked once.
            source += f"    {self._prefix}inputs = {tail[2:]}\n"
            tail = f", {self._prefix}inputs"
        source += _TEXTS[text].format(
            _=self._prefix,
            call=signature.call,
            args=signature.args,
            kwargs=signature.kwargs,
            key=(signature.key if key is None else key).replace("{_}", self._prefix),
            inputs=tail,
        )
        if trims:
            body = textwrap.indent(source, "    ")
            source = "    try:\n" + body + _TRIMMING.format(_=self._prefix)
        source = f"{define} {self._prefix}guarded({signature.head}):\n{source}"
        file = f"<{self._title} #{next(_serial)}>"
        # An entry without a time stamp stays when files are checked for changes.
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        self._files.append(file)
        scratch: dict[str, Any] = {}
        exec(compile(source, file, "exec", dont_inherit=True), scratch)  # noqa: S102
        code: CodeType = scratch[f"{self._prefix}guarded"].__code__
        code = code.replace(co_name=self._name, co_qualname=self._qualname)
        self._codes[text, inputs, key, trims] = code
        return code

    def _dress(self, function: Callable[..., Any]) -> None:
        wrapper = self.function
        wrapper.__qualname__ = self._qualname
        wrapper.__module__ = getattr(function, "__module__", __name__)
        wrapper.__doc__ = getattr(function, "__doc__", None)
        wrapper.__annotations__ = dict(getattr(function, "__annotations__", {}))
        wrapper.__dict__.update(getattr(function, "__dict__", {}))
        if hasattr(function, "__type_params__"):  # since Python 3.12
            wrapper.__type_params__ = function.__type_params__  # type: ignore[attr-defined]
        if self.signature.inspected is not None:
            parameters = self.signature.inspected.parameters.values()
            empty = self.signature.inspected.empty
            positional = [
                each.default
                for each in parameters
                if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is not empty
            ]
            wrapper.__defaults__ = tuple(positional) or None
            wrapper.__kwdefaults__ = {
                each.name: each.default
                for each in parameters
                if each.kind is each.KEYWORD_ONLY and each.default is not empty
            } or None
            wrapper.__signature__ = self.signature.inspected  # type: ignore[attr-defined]
        wrapper.__wrapped__ = function  # type: ignore[attr-defined]
