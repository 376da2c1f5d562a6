"""Wrappers: functions compiled for the signature of a user's function.

No other module may ``exec``. It fills parameters' names, checked to be identifiers, into fixed texts. Each function has
globals of its own, which hold what its text uses; other policies are other entries there.
"""

from __future__ import annotations

import builtins
import itertools
import linecache
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature, name_of
from corten.pipeline.functions.traceback import trimmed
from corten.pipeline.stages.stage import Input

_serial = itertools.count(1)


def _forget(files: list[str]) -> None:
    for file in files:
        linecache.cache.pop(file, None)


class Wrapper:
    """A function with a text and globals that can be replaced.

    :param function: the user's function, which gives it its name, documentation and annotations
    :param title: in place of a file name in tracebacks
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
            # With the prefix, for a parameter may have the name of a builtin.
            f"{self._prefix}len": len,
            f"{self._prefix}sorted": sorted,
        }
        self._files: list[str] = []
        iterated = signature.flavor == "async_generator"
        unconfigured = texts.UNCONFIGURED_ITERATED if iterated else texts.UNCONFIGURED
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
        """Run another text with these globals from the next call on.

        :param text: one of `wrapper_texts`, or one that its functions make
        :param inputs: parameters and functions that policies want to know of the call
        :param key: source of a cache's key; by default the signature's
        :param trims: take Corten's frames out of the tracebacks of errors
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
        """Keep something alive as long as the function."""
        self._globals[f"{self._prefix}kept"] = thing

    def _code(
        self, text: str, inputs: tuple[str, ...] = (), key: str | None = None, *, trims: bool = False
    ) -> CodeType:
        """Compile a text, once."""
        found = self._codes.get((text, inputs, key, trims))
        if found is not None:
            return found
        signature = self.signature
        body = text
        values = f"({', '.join(inputs)},)" if inputs else ""
        if any("(" in each for each in inputs):
            # Called once, and before a coroutine is made: a function of the user's may raise.
            body, handed_on = "    {_}inputs = {values}\n" + text, f", {self._prefix}inputs"
        else:
            handed_on = f", {values}" if inputs else ""
        if trims:
            body = texts.trimmed(body)
        define = "async def"
        if signature.flavor == "sync":
            define, body = "def", texts.without_await(body)
        body = body.format(
            _=self._prefix,
            call=signature.call,
            args=signature.args,
            kwargs=signature.kwargs,
            key=(signature.key if key is None else key).replace("{_}", self._prefix),
            inputs=handed_on,
            values=values,
        )
        source = f"{define} {self._prefix}guarded({signature.head}):\n{body}"
        file = f"<{self._title} #{next(_serial)}>"
        # linecache.checkcache keeps entries without a time stamp.
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
