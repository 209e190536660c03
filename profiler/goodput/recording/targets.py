"""What `goodput count` counts: `file.py:function`, `package.module:function`, `hf:config.json`.

Loads the user's function; calls nothing that it returns.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from goodput.errors import UsageError

_FORMS = "give file.py:function, package.module:function or hf:config.json"
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Target:
    """What was named on the command line.

    Attributes:
        kind: `hf`, `file` or `module`.
        place: the config, the file, or the module's name.
        function: its function; "" of a config.
    """

    kind: str
    place: str
    function: str = ""

    @property
    def title(self) -> str:
        """The target as typed."""
        return f"hf:{self.place}" if self.kind == "hf" else f"{self.place}:{self.function}"


def parsed(text: str) -> Target:
    """The target that `text` names.

    Raises:
        UsageError: it names none.
    """
    if text.startswith("hf:"):
        return Target("hf", text.removeprefix("hf:"))
    place, colon, function = text.rpartition(":")
    if not colon or not place or not function.isidentifier():
        raise UsageError(f"{text} names no function; {_FORMS}")
    return Target("file" if place.endswith(".py") else "module", place, function)


def function_of(target: Target) -> Callable[..., Any]:
    """The user's function; its file is run for it, as an import would.

    Raises:
        UsageError: there is no such file, module or function.
    """
    module = _from_file(Path(target.place)) if target.kind == "file" else _imported(target.place)
    function = getattr(module, target.function, None)
    if not callable(function):
        known = [name for name, item in vars(module).items() if inspect.isfunction(item)]
        own = ", ".join(name for name in known if not name.startswith("_"))
        hint = f"; its functions are {own}" if own else ""
        raise UsageError(f"{target.place} has no function {target.function}{hint}")
    found: Callable[..., Any] = function
    return found


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {path}; {_FORMS}")
    sys.path.insert(0, str(path.resolve().parent))
    sys.argv[:] = [str(path)]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file; {_FORMS}")
    module = importlib.util.module_from_spec(spec)
    # A file named like a library that is loaded must not take its place.
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _imported(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise  # the module is there, and something that it imports is not
        raise UsageError(f"there is no module {name}; {_FORMS}") from error


def call(
    target: Target, function: Callable[..., Any], sizes: Mapping[str, int | None]
) -> tuple[Callable[..., Any], Any]:
    """The callable and the inputs that the user's function returns.

    Args:
        target: what was named.
        function: the user's function.
        sizes: what the user gave for its parameters `batch` and `seq`; None is not given.

    Raises:
        UsageError: it takes other arguments, or returns something else.
    """
    result = function(**_arguments(target, function, sizes))
    if not (isinstance(result, tuple) and len(result) == _PAIR and callable(result[0])):
        raise UsageError(
            f"{target.title} returned {_described(result)}; it must return (callable, inputs): a "
            "module or a function, and its arguments as a tuple, a list or a dict"
        )
    step, inputs = result
    if not isinstance(inputs, tuple | list | Mapping):
        raise UsageError(
            f"{target.title} returned inputs of type {type(inputs).__name__}; give a tuple or a "
            "list of arguments, or a dict of named ones"
        )
    return step, inputs


def _arguments(
    target: Target, function: Callable[..., Any], sizes: Mapping[str, int | None]
) -> dict[str, int]:
    parameters = inspect.signature(function).parameters
    given = {name: size for name, size in sizes.items() if size is not None}
    for name in given:
        if name not in parameters:
            raise UsageError(
                f"{target.title} has no parameter {name}, so --{name} cannot be given to it"
            )
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if required and name not in given:
            raise UsageError(
                f"{target.title} takes the argument {name}; name a function without arguments "
                "that returns (callable, inputs)"
            )
    return given


def _described(result: object) -> str:
    if isinstance(result, tuple):
        return f"a tuple of {len(result)}"
    return "nothing" if result is None else f"a {type(result).__name__}"
