"""The service chassis for async Python.

Each name is loaded when it is first used: a program that catches only an error does not load the App.
"""

from typing import TYPE_CHECKING

from corten._lazy import lazy_names

if TYPE_CHECKING:
    from corten.app import App
    from corten.errors import (
        BulkheadFull,
        ChaosError,
        CircuitOpen,
        ConcurrencyLimited,
        CortenError,
        DeadlineExceeded,
        MessageError,
        PluginError,
        PoolExhausted,
        RateLimited,
        Refused,
        ResourceUnavailable,
        SettingsError,
    )
    from corten.messages import Consumer
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
    from corten.secrets import Secret

__all__ = [
    "AdaptiveLimit",
    "App",
    "Bulkhead",
    "BulkheadFull",
    "Cache",
    "Chaos",
    "ChaosError",
    "CircuitBreaker",
    "CircuitOpen",
    "ConcurrencyLimited",
    "Consumer",
    "CortenError",
    "DeadlineExceeded",
    "Fallback",
    "Hedge",
    "MessageError",
    "Middleware",
    "Pipeline",
    "PluginError",
    "PoolExhausted",
    "RateLimit",
    "RateLimited",
    "Refused",
    "ResourceUnavailable",
    "Retry",
    "RetryBudget",
    "Secret",
    "SettingsError",
    "Timeout",
    "not_idempotent",
    "profile",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "corten._core": ("__version__",),
        "corten.app": ("App",),
        "corten.errors": (
            "BulkheadFull",
            "ChaosError",
            "CircuitOpen",
            "ConcurrencyLimited",
            "CortenError",
            "DeadlineExceeded",
            "MessageError",
            "PluginError",
            "PoolExhausted",
            "RateLimited",
            "Refused",
            "ResourceUnavailable",
            "SettingsError",
        ),
        "corten.messages": ("Consumer",),
        "corten.pipeline": ("Pipeline",),
        "corten.policies": (
            "AdaptiveLimit",
            "Bulkhead",
            "Cache",
            "Chaos",
            "CircuitBreaker",
            "Fallback",
            "Hedge",
            "Middleware",
            "RateLimit",
            "Retry",
            "RetryBudget",
            "Timeout",
            "not_idempotent",
            "profile",
        ),
        "corten.secrets": ("Secret",),
    },
)
