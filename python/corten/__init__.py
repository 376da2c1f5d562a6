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
        "AdaptiveLimit": "corten.policies",
        "App": "corten.app",
        "Bulkhead": "corten.policies",
        "BulkheadFull": "corten.errors",
        "Cache": "corten.policies",
        "Chaos": "corten.policies",
        "ChaosError": "corten.errors",
        "CircuitBreaker": "corten.policies",
        "CircuitOpen": "corten.errors",
        "ConcurrencyLimited": "corten.errors",
        "Consumer": "corten.messages",
        "CortenError": "corten.errors",
        "DeadlineExceeded": "corten.errors",
        "Fallback": "corten.policies",
        "Hedge": "corten.policies",
        "MessageError": "corten.errors",
        "Middleware": "corten.policies",
        "Pipeline": "corten.pipeline",
        "PluginError": "corten.errors",
        "PoolExhausted": "corten.errors",
        "RateLimit": "corten.policies",
        "RateLimited": "corten.errors",
        "Refused": "corten.errors",
        "ResourceUnavailable": "corten.errors",
        "Retry": "corten.policies",
        "RetryBudget": "corten.policies",
        "Secret": "corten.secrets",
        "SettingsError": "corten.errors",
        "Timeout": "corten.policies",
        "__version__": "corten._core",
        "not_idempotent": "corten.policies",
        "profile": "corten.policies",
    },
)
