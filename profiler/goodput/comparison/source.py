"""The user's study, brought into a process of its own: from a file, or pickled."""

from __future__ import annotations

import importlib
import importlib.util
import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from goodput.comparison.declared import Study, studies
from goodput.errors import UsageError

_ADVICE = (
    "define it at the top level of a file, or install cloudpickle (pip install cloudpickle) for "
    "functions of a notebook, lambdas and closures"
)
_loaded: dict[str, ModuleType] = {}


def from_file(path: Path) -> dict[str, Study]:
    """The studies that a file declares. Runs it, as an import would.

    Raises:
        UsageError: it is no Python file.
    """
    _module_at(str(path))
    return studies()


def _module_at(path: str) -> ModuleType:
    if path in _loaded:
        return _loaded[path]
    place = Path(path)
    sys.path.insert(0, str(place.resolve().parent))
    sys.argv[:] = [path]
    spec = importlib.util.spec_from_file_location(place.stem, place)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # A file named like a library that is loaded must not take its place.
    sys.modules.setdefault(place.stem, module)
    _loaded[path] = module
    spec.loader.exec_module(module)
    return module


def object_at(path: str, name: str) -> Any:
    """The object `name` at the top level of the file `path`."""
    return getattr(_module_at(path), name)


class _Pickler(pickle.Pickler):
    """Pickles what a file defines by where it stands, so that a compiled function stays one."""

    def reducer_override(self, item: Any) -> Any:
        """Where `item` stands, if that is known."""
        if not isinstance(item, FunctionType | type) and not callable(item):
            return NotImplemented
        module = sys.modules.get(str(getattr(item, "__module__", "")))
        file = getattr(module, "__file__", None)
        if module is None or file is None or not _is_user_s(module.__name__, file):
            return NotImplemented
        for name, other in vars(module).items():
            if other is item:
                return object_at, (str(Path(file).resolve()), name)
        return NotImplemented


def _is_user_s(name: str, file: str) -> bool:
    own = name.partition(".")[0] in {"goodput", "goodput_kernels"}
    return not own and "site-packages" not in file and not file.startswith(sys.base_prefix)


def pickled(study: Study) -> bytes:
    """`study` for another process.

    Raises:
        UsageError: a function of it can only be had in this one.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer).dump(study)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        return _by_value(study, error)
    return buffer.getvalue()


def _by_value(study: Study, error: Exception) -> bytes:
    try:
        dump: Callable[[object], bytes] = importlib.import_module("cloudpickle").dumps
    except ImportError:
        raise UsageError(
            f"a fresh process cannot be given a function ({error}); {_ADVICE}"
        ) from error
    return dump(study)


def unpickled(content: bytes) -> Study:
    """The study that `pickled` gave; runs the user's files for it."""
    study = pickle.loads(content)  # noqa: S301 - our own parent sent it
    if not isinstance(study, Study):
        raise UsageError("the parent sent something that is no study")
    return study
