"""Typed access to the fields of a JSON file that somebody else wrote."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from attnreplace.errors import UserError

T = TypeVar("T")


class Fields:
    """Reads nested fields by their keys and checks what it finds.

    Every method raises `UserError` naming the file and the field where it is broken.
    """

    def __init__(self, value: Any, where: str) -> None:
        """`where` names the file in errors."""
        self.value = value
        self.where = where

    def may(self, kind: type[T], *keys: str) -> T | None:
        """The value under the keys, or None where it is absent or null."""
        value = self._find(keys)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"{'.'.join(keys)} is {value!r}, not of type {kind.__name__}")
        return value

    def need(self, kind: type[T], *keys: str) -> T:
        """The value under the keys, which has to be there."""
        value = self.may(kind, *keys)
        if value is None:
            raise self.error(f"{'.'.join(keys)} is missing")
        return value

    def may_number(self, *keys: str) -> float | None:
        """The finite number under the keys, or None where it is absent or null."""
        value = self._find(keys)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{'.'.join(keys)} is {value!r}, not a number")
        if not math.isfinite(value):
            raise self.error(f"{'.'.join(keys)} is {value}, not a finite number")
        return value

    def number(self, *keys: str) -> float:
        """The finite number under the keys, which has to be there."""
        value = self.may_number(*keys)
        if value is None:
            raise self.error(f"{'.'.join(keys)} is missing")
        return value

    def numbers(self, *keys: str) -> dict[str, float]:
        """The mapping of names to finite numbers under the keys; empty where there is none."""
        return {name: self.number(*keys, name) for name in self.may(dict, *keys) or {}}

    def items(self) -> list[Any]:
        """The whole value, which has to be a list."""
        if not isinstance(self.value, list):
            raise self.error("not a list")
        return self.value

    def need_schema(self, schema: str) -> None:
        """The value has to be of a schema."""
        if (found := self.need(str, "schema")) != schema:
            raise self.error(f"of schema {found!r}, not {schema!r}")

    def error(self, problem: str) -> UserError:
        """An error that names the file and says what to do."""
        return UserError(f"{self.where}: {problem}; delete it and repeat the stage that wrote it")

    def _find(self, keys: tuple[str, ...]) -> Any:
        value = self.value
        for key in keys:
            if value is None:
                return None
            if not isinstance(value, Mapping):
                raise self.error(f"no {'.'.join(keys)} in it")
            value = value.get(key)
        return value
