"""The fields of one config: read by name, checked, with an error that names what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goodput.errors import UsageError


@dataclass(frozen=True, slots=True)
class Fields:
    """A config of one family; a field that is null counts as missing."""

    family: str
    given: Mapping[str, object]

    def size(self, *names: str, default: int | None = None) -> int:
        """The positive whole number under the first of `names` that is there.

        Raises:
            UsageError: it is no such number, or it is missing and there is no default.
        """
        name = self._first(names)
        if name is None:
            if default is None:
                raise UsageError(f"the {self.family} config has no {names[0]}; add it")
            return default
        return self._whole(name, least=1)

    def count(self, *names: str, default: int = 0) -> int:
        """Likewise, where 0 is allowed too."""
        name = self._first(names)
        return default if name is None else self._whole(name, least=0)

    def optional(self, name: str, *, default: int | None) -> int | None:
        """The positive whole number under `name`, None where it is null, else `default`."""
        if name not in self.given:
            return default
        return None if self.given[name] is None else self._whole(name, least=1)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """The truth value under `name`.

        Raises:
            UsageError: it is none.
        """
        value = self.given.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise UsageError(f"{name} of the {self.family} config is {value!r}; give true or false")
        return value

    def names(self, name: str, count: int) -> tuple[str, ...] | None:
        """The list of `count` words under `name`, one a layer; None where it is missing.

        Raises:
            UsageError: it is no such list.
        """
        value = self.given.get(name)
        if value is None:
            return None
        if (
            not isinstance(value, list)
            or len(value) != count
            or not all(isinstance(item, str) for item in value)
        ):
            raise UsageError(
                f"{name} of the {self.family} config is no list of {count} names; give one a layer"
            )
        return tuple(value)

    def numbers(self, name: str) -> tuple[int, ...]:
        """The list of whole numbers under `name`; empty where it is missing.

        Raises:
            UsageError: it is no such list.
        """
        value = self.given.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(_is_whole(item) for item in value):
            raise UsageError(f"{name} of the {self.family} config is no list of whole numbers")
        return tuple(value)

    def must_be(self, name: str, value: object) -> None:
        """Checks that `name` is `value` where it is given.

        Raises:
            UsageError: it is not.
        """
        given = self.given.get(name)
        if given is not None and given != value:
            raise UsageError(
                f"{name} of the {self.family} config is {given!r}, which is not described here "
                f"(only {value!r} is); count a step of the model with goodput count"
            )

    def _first(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if self.given.get(name) is not None), None)

    def _whole(self, name: str, least: int) -> int:
        value = self.given[name]
        if not _is_whole(value) or not isinstance(value, int) or value < least:
            raise UsageError(
                f"{name} of the {self.family} config is {value!r}; give a whole number of at "
                f"least {least}"
            )
        return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
