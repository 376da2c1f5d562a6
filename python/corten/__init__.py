"""The service chassis for async Python.

Names are loaded when they are first used: whoever needs only the errors, or has pytest installed (which loads
`corten.testing.pytest_plugin` in every project), pays for no more.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.app import App
    from corten.pipeline import Pipeline
    from corten.policies import (
        AdaptiveLimit,
        Bulkhead,
        Cache,
        Chaos,
        CircuitBreaker,
        Custom,
        Fallback,
        Hedge,
        RateLimit,
        Retry,
        RetryBudget,
        Timeout,
        not_idempotent,
        profile,
    )

__all__ = [
    "AdaptiveLimit",
    "App",
    "Bulkhead",
    "Cache",
    "Chaos",
    "CircuitBreaker",
    "Custom",
    "Fallback",
    "Hedge",
    "Pipeline",
    "RateLimit",
    "Retry",
    "RetryBudget",
    "Timeout",
    "not_idempotent",
    "profile",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from corten import _core

        return _core.__version__
    if name not in __all__:
        raise AttributeError(f"module 'corten' has no attribute {name!r}")
    from importlib import import_module

    room = {"App": "corten.app", "Pipeline": "corten.pipeline"}.get(name, "corten.policies")
    value: object = getattr(import_module(room), name)
    globals()[name] = value  # the next time it is found without asking here
    return value


def __dir__() -> list[str]:
    return __all__
