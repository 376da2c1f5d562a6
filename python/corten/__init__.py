"""The service chassis for async Python.

Names are loaded when they are first used: whoever needs only the errors, or has pytest installed (which loads
`corten.testing.pytest_plugin` in every project), pays for no more.
"""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names

if TYPE_CHECKING:
    from corten.app import App
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
    "Fallback",
    "Hedge",
    "Middleware",
    "Pipeline",
    "RateLimit",
    "Retry",
    "RetryBudget",
    "Timeout",
    "not_idempotent",
    "profile",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AdaptiveLimit": "corten.policies",
        "App": "corten.app",
        "Bulkhead": "corten.policies",
        "Cache": "corten.policies",
        "Chaos": "corten.policies",
        "CircuitBreaker": "corten.policies",
        "Fallback": "corten.policies",
        "Hedge": "corten.policies",
        "Middleware": "corten.policies",
        "Pipeline": "corten.pipeline",
        "RateLimit": "corten.policies",
        "Retry": "corten.policies",
        "RetryBudget": "corten.policies",
        "Timeout": "corten.policies",
        "__version__": "corten._core",
        "not_idempotent": "corten.policies",
        "profile": "corten.policies",
    },
)
