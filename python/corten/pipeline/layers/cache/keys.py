"""Cache keys of calls, as source text for the wrapper and as functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

from msgspec.structs import replace

from corten.pipeline.functions import wrapper_texts as texts
from corten.pipeline.functions.signature import FunctionSignature, name_of
from corten.pipeline.functions.traceback import TITLE
from corten.pipeline.functions.wrapper import Wrapper
from corten.policies.cache import Cache
from corten.policies.fields.callables import Function, resolve_function


class Key:
    """The key of a function's calls, by the policy."""

    def __init__(self, policy: Cache, function: Callable[..., Any], signature: FunctionSignature) -> None:
        self._function = function
        self._signature = signature
        self._parameters = policy.parameters()
        self.text: str | None = None
        """Source text of the key for the wrapper; None: the signature's own. ``{_}`` prefixes Corten's names."""
        self.names: dict[str, Any] = {}
        """Values of the names in ``text``."""
        if self._parameters is not None:
            self.text = expression(signature, self._parameters)
        elif policy.key is not None:
            self.text = f"{{_}}key({signature.call})"
            self.names["key"] = resolve_function("cache", "key", cast("Function", policy.key))
        self._of: Callable[..., Any] | None = None

    def of(self, *args: Any, **kwargs: Any) -> Any:
        """Return the key of a call with these arguments.

        :raises TypeError: the arguments do not fit the signature
        """
        if self._of is None:
            self._of = _written(self._function, self._signature, self.text, self.names)
        return self._of(*args, **kwargs)

    def checked(self, *args: Any, **kwargs: Any) -> Any:
        """Return the key of a call with these arguments, after a check that it is hashable.

        :raises TypeError: the arguments do not fit the signature, or are not hashable
        """
        key = self.of(*args, **kwargs)
        try:
            hash(key)
        except TypeError as error:
            raise self.explain(key, error) from None
        return key

    def explain(self, key: object, error: TypeError) -> TypeError:
        """Return the error for an unhashable key, which names function and argument."""
        name = name_of(self._function)
        if self._parameters is None and self.text is not None:
            return TypeError(f"{name}: the cache's key function returned an unhashable {type(key).__name__}: {error}")
        parameters: Sequence[str] = self._parameters if self._parameters is not None else self._all_parameters()
        parts = cast("tuple[object, ...]", key) if isinstance(key, tuple) else (key,)
        for index, each in enumerate(parts):
            try:
                hash(each)
            except TypeError:
                which = repr(parameters[index]) if index < len(parameters) else f"number {index + 1}"
                return TypeError(
                    f"{name}: argument {which} of type {type(each).__name__} can't be part of a cache's key, as it is "
                    "not hashable: pass a tuple or a frozen struct, name the parameters that make the key, or leave "
                    "Cache out"
                )
        return error

    def _all_parameters(self) -> list[str]:
        try:
            parameters = list(inspect.signature(self._function).parameters)
        except (TypeError, ValueError):
            return []
        return parameters[1:] if parameters and parameters[0] in ("self", "cls") else parameters


class Values:
    """Makes functions that return some of a call's arguments as a tuple."""

    def __init__(self, function: Callable[..., Any], signature: FunctionSignature) -> None:
        self._function = function
        self._signature = signature

    def of(self, names: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
        """Return the function for these parameters; defaults are included."""
        text = f"({', '.join(_parts(self._signature, names))},)" if names else "()"
        return _written(self._function, self._signature, text, {})


def expression(signature: FunctionSignature, names: Sequence[str]) -> str:
    """Return source text for a key: the only parameter, or a tuple."""
    parts = _parts(signature, names)
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)},)" if parts else "()"


def _parts(signature: FunctionSignature, names: Sequence[str]) -> list[str]:
    mappings = {"kwargs"} if signature.inspected is None else set[str]()
    if signature.inspected is not None:
        parameters = signature.inspected.parameters.values()
        mappings = {each.name for each in parameters if each.kind is each.VAR_KEYWORD}
    return [f"(*{{_}}sorted({name}.items()),)" if name in mappings else name for name in names]


def _written(
    function: Callable[..., Any], signature: FunctionSignature, key: str | None, names: dict[str, Any]
) -> Callable[..., Any]:
    wrapper = Wrapper(function, replace(signature, flavor="sync"), f"{TITLE} key of {name_of(function)}")
    wrapper.become(texts.KEY, names, key=key)
    return wrapper.function
