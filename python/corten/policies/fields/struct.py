"""The base of policies: kind, use around blocks, and errors for wrong fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec

if TYPE_CHECKING:
    from msgspec import StructMeta
else:
    StructMeta = type(msgspec.Struct)  # only the latest msgspec exports it


class _NamingFields(StructMeta):
    """Replaces msgspec's ``Unexpected keyword argument``, which does not name the class."""

    if not TYPE_CHECKING:  # signatures are those of the fields

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - a metaclass
            try:
                return super().__call__(*args, **kwargs)
            except TypeError as error:
                fields = cls.__struct_fields__
                for name in kwargs:
                    if name in cls.renamed_fields:
                        renamed = cls.renamed_fields[name]
                        raise TypeError(f"{cls.__name__} has no field {name!r}: it is now {renamed!r}") from None
                    if name not in fields:
                        from corten.spelling import suggestion

                        raise TypeError(f"{cls.__name__} has no field {name!r}{suggestion(name, fields)}") from None
                if len(args) > len(fields):
                    raise TypeError(f"{cls.__name__} has fields {', '.join(fields)}, and no more") from None
                missing = [name for name in fields[len(args) :] if name not in kwargs]
                if missing and str(error).startswith("Missing required argument"):
                    raise TypeError(f"{cls.__name__} needs {error.args[0].rpartition(' ')[2]}") from None
                raise


class _Kind:
    """Reads the kind of a policy from its tag, on classes and instances."""

    def __get__(self, policy: object, policy_type: type[msgspec.Struct]) -> str:
        return str(policy_type.__struct_config__.tag)


class PolicyFields(msgspec.Struct, metaclass=_NamingFields, frozen=True):
    """The base of all policies."""

    kind: ClassVar[str] = cast("str", _Kind())
    """The name of the policy in settings, errors and metrics: ``circuit_breaker``."""
    guards_blocks: ClassVar[bool] = False
    """Whether it can guard a block of code: it never repeats a call or replaces its result."""

    renamed_fields: ClassVar[Mapping[str, str]] = {}
    """The new name of each field that had another one; errors and settings say it."""
    former_tags: ClassVar[tuple[str, ...]] = ()
    """Earlier values of ``policy`` in settings."""

    def block_objection(self) -> str:
        """Name the part that can't guard a block; empty: there is none."""
        return "" if self.guards_blocks else self.kind
