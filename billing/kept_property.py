"""A property that is computed once for an object, by whoever asks first.

`functools.cached_property` of Python 3.11 computes under one lock for all objects of a class: while one page waits for
a connection, or reads a month, every other one does, and where the first waits for what the others hold, all do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Owner = TypeVar("Owner")
Value = TypeVar("Value")


class kept_property(Generic[Owner, Value]):  # noqa: N801 - used like `property`
    """As `functools.cached_property`, without a lock: of two threads that ask one object at once both compute."""

    def __init__(self, compute: Callable[[Owner], Value]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, owner: None, kind: type[Any]) -> kept_property[Owner, Value]: ...
    @overload
    def __get__(self, owner: Owner, kind: type[Any]) -> Value: ...
    def __get__(self, owner: Owner | None, kind: type[Any]) -> kept_property[Owner, Value] | Value:
        """The value, which from then on stands in the object itself."""
        if owner is None:
            return self
        value = self._compute(owner)
        owner.__dict__[self._name] = value
        return value
