"""``dataclass`` of the standard library, for a short cold start.

The standard library compiles up to eight methods for each class. With the 71 classes of this package that a function
imports, that took a twelfth of its cold start. Here, only ``__init__`` is compiled. The other methods read the fields,
and only the type checker enforces ``frozen``.
"""

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, *, frozen: bool = False) -> Any:
        """Make a class a dataclass. With ``frozen``, its objects have hashes."""

        def decorate(cls: type) -> type:
            made = dataclasses.dataclass(cls, eq=False, repr=False)
            values = attrgetter(*(field.name for field in dataclasses.fields(made)))

            def equals(self: object, other: object) -> bool:
                return values(self) == values(other) if type(other) is type(self) else NotImplemented

            made.__eq__ = equals
            made.__hash__ = (lambda self: hash(values(self))) if frozen else None
            made.__repr__ = _repr
            return made

        return decorate if cls is None else decorate(cls)

    def _repr(self: object) -> str:
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self))
        return f"{type(self).__qualname__}({', '.join(shown)})"


__all__ = ["dataclass"]
