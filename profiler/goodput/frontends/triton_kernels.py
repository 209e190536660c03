"""What a launch of a Triton kernel does, from its intermediate representation. Launches nothing.

The kernel is taken through Triton's front end and its first passes for an NVIDIA GPU, which need
none; what comes out is counted, and remembered by kernel, constants, numbers and grid. Imported
only once the program has imported Triton.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend
from triton.runtime.jit import create_function_from_signature

from goodput.errors import GoodputError, typed_line
from goodput.frontends.torch_calls import argument
from goodput.frontends.torch_private import (
    is_tensor,
    plain_functions,
    storage_of,
    whole_numbers_in,
)
from goodput.frontends.triton_launches import Launched, Stated
from goodput.readers.ttir import Argument, KernelCount, TensorBlock, UncountableError, count_kernel
from goodput.readers.ttir_machine import DataDependentError
from goodput.readers.ttir_text import Module, parse
from goodput.readers.ttir_values import SPACE, Memory
from goodput.work import Argument as CallArgument

_TARGET = GPUTarget("cuda", 90, 32)
"""The GPU that kernels are made ready for: one that has tensor descriptors in hardware."""

_KNOWN = 2**24
"""Elements up to which a storage of whole numbers is looked into."""

_MEASURED = (
    "what depends on data is counted with the whole numbers that its tensors hold in this launch"
)

_ADVICE = (
    "; count it with tensors that hold these numbers, or say what it does with "
    '@goodput.formula("triton::{}")'
)

_TOLERANCE = 0.01
"""What an author's own figures may differ by: they are often rounded, or leave a rim out."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A launch with its arguments in their places."""

    kernel: Any
    values: Mapping[str, Any]
    grid: tuple[int, ...]
    signature: Mapping[str, Any]
    constants: Mapping[Any, Any]
    attributes: Mapping[Any, Any]
    options: Any


bounds: dict[tuple[str, ...], Bound] = {}
"""The kernels that were launched, each with the first launch of its kind, in order."""

_modules: dict[Any, Module] = {}
_counts: dict[Any, tuple[KernelCount | None, UncountableError | None]] = {}
_measured_counts: dict[Any, KernelCount | None] = {}


def launched(kernel: Any, args: Sequence[Any], kwargs: Mapping[str, Any], grid: Any) -> Launched:
    """What `kernel[grid](*args, **kwargs)` does.

    Args:
        kernel: a `triton.jit` function, autotuned or with heuristics or neither.
        args: its arguments by place.
        kwargs: those by name, with the compiler's options among them.
        grid: programs, or a function of the arguments.
    """
    name = _innermost(kernel).__name__
    inputs = _inputs(args, kwargs)
    notes: list[str] = []
    try:
        with plain_functions():
            inner, named, notes = _unwrapped(kernel, args, dict(kwargs))
            bound = _bound(inner, args, named, grid)
            bounds.setdefault((name, *source_of(bound)), bound)
            count = _count(bound)
    except GoodputError as error:
        advice = _ADVICE.format(name) if isinstance(error, DataDependentError) else ""
        warning = f"the Triton kernel {name} is not counted: {error}{advice}"
        return Launched(name, inputs, None, warnings=(*notes, warning))
    except Exception as error:  # noqa: BLE001 - the kernel is the user's own code
        warning = f"the Triton kernel {name} does not compile: {_told(error)}"
        return Launched(name, inputs, None, warnings=(*notes, warning))
    notes += [f"the Triton kernel {name}: {note}" for note in count.notes]
    stated, told = _stated(bound, count)
    return Launched(name, inputs, count, stated, (*notes, *told))


def _inputs(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[CallArgument, ...]:
    """The arguments by place, and the tensors by name: options of the compiler are none."""
    named = (value for value in kwargs.values() if is_tensor(value))
    return tuple(argument(value) for value in (*args, *named))


def _told(error: Exception) -> str:
    """What an error says: Triton's compiler shows the program first, and the reason last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"


def interpreted(kernel: Any, args: Sequence[Any]) -> Launched:
    """A launch in Triton's interpreter (TRITON_INTERPRET=1), where nothing can be counted."""
    name = kernel.__name__
    inputs = _inputs(args, {})
    warning = (
        f"the Triton kernel {name} runs in Triton's interpreter, where it has no intermediate "
        "representation: count it without TRITON_INTERPRET"
    )
    return Launched(name, inputs, None, warnings=(warning,))


def ttir_of(
    kernel: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    grid: Any,
    *,
    passes: bool = True,
) -> tuple[str, list[Argument]]:
    """The text that a launch is counted from, and the values of its arguments.

    Args:
        kernel: as in `launched`, and what follows.
        args: the same.
        kwargs: the same.
        grid: the same.
        passes: whether Triton's own simplifications are made first, as they are when it runs.
    """
    inner, named, _ = _unwrapped(kernel, args, dict(kwargs))
    bound = _bound(inner, args, named, grid)
    return _text(bound, passes=passes), list(_arguments(bound))


def _innermost(kernel: Any) -> Any:
    """The function itself, without what tunes it."""
    while hasattr(kernel, "fn"):
        kernel = kernel.fn
    return kernel


def _unwrapped(
    kernel: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any], list[str]]:
    """The kernel itself, with the constants that its tuner and its heuristics choose."""
    notes: list[str] = []
    while not hasattr(kernel, "create_binder"):
        if hasattr(kernel, "configs"):
            config, note = chosen(kernel)
            notes += note
            kwargs |= config.all_kwargs()
        elif hasattr(kernel, "values"):
            known = dict(zip(kernel.arg_names, args, strict=False))
            for name, heuristic in kernel.values.items():
                kwargs[name] = heuristic({**known, **kwargs})
        kernel = kernel.fn
    return kernel, kwargs, notes


def chosen(tuner: Any) -> tuple[Any, list[str]]:
    """The configuration that a tuner chose, or its first, and then a sentence that says so."""
    best = getattr(tuner, "best_config", None)
    if best is not None or len(tuner.configs) == 1:
        return best or tuner.configs[0], []
    name = tuner.base_fn.__name__
    note = (
        f"the Triton kernel {name} is tuned when it runs: it is counted with the first of its "
        f"{len(tuner.configs)} configurations ({tuner.configs[0]})"
    )
    return tuner.configs[0], [note]


def bound_to(kernel: Any, args: Sequence[Any], kwargs: Mapping[str, Any], grid: Any) -> Bound:
    """A launch with its arguments in their places, its heuristics applied; launches nothing."""
    with plain_functions():
        inner, named, _ = _unwrapped(kernel, args, dict(kwargs))
        return _bound(inner, args, named, grid)


def _bound(kernel: Any, args: Sequence[Any], kwargs: Mapping[str, Any], grid: Any) -> Bound:
    if kernel.is_gluon():
        raise UncountableError("gluon", "its kernels have no TTIR, only what comes after it")
    backend = _backend()
    names = {"grid", "warmup"}
    given = {name: value for name, value in kwargs.items() if name not in names}
    given.setdefault("debug", False)
    # What is fused is decided later; without this Triton 3.9 warns that it will decide otherwise.
    given.setdefault("enable_fp_fusion", True)
    binder = _binder(kernel)
    values, specialization, options = binder(*args, **given)
    parsed, signature, constants, attributes = kernel._pack_args(  # noqa: SLF001 - as it launches
        backend, given, values, specialization, options
    )
    size = grid(values) if callable(grid) else grid
    whole = tuple(int(axis) for axis in (size if isinstance(size, Sequence) else (size,)))
    return Bound(kernel, values, whole, signature, constants, attributes, parsed)


@cache
def _backend() -> Any:
    return make_backend(_TARGET)


_binders: dict[int, tuple[Any, Callable[..., Any]]] = {}


def _binder(kernel: Any) -> Callable[..., Any]:
    """Puts arguments in their places, as the kernel itself does before it launches."""
    known = _binders.get(id(kernel))
    if known is None or known[0] is not kernel:
        made = create_function_from_signature(kernel.signature, kernel.params, _backend())
        known = _binders[id(kernel)] = (kernel, made)
    return known[1]


def _count(bound: Bound) -> KernelCount:
    arguments = list(_arguments(bound))
    source = source_of(bound)
    key = (source, tuple(arguments), bound.grid)
    module = _modules.get(source)
    if module is None:
        module = _modules[source] = parse(_text(bound, passes=True))
    if key not in _counts:
        _counts[key] = _tried(module, bound.grid, arguments, Memory({}))
    found, error = _counts[key]
    if error or (found and found.notes):
        # Something depends on data: on whole numbers, perhaps, that are at hand.
        measured = _measured(bound, key, module, arguments)
        if measured is not None:
            return measured
    if found is None:
        assert error is not None  # noqa: S101 - one of the two is there
        raise error
    return found


def _tried(
    module: Module, grid: tuple[int, ...], arguments: list[Argument], memory: Memory
) -> tuple[KernelCount | None, UncountableError | None]:
    try:
        return count_kernel(module, grid, arguments, memory), None
    except UncountableError as error:
        return None, error


def _measured(
    bound: Bound, key: Any, module: Module, arguments: list[Argument]
) -> KernelCount | None:
    """The count with the whole numbers that tensors hold; None where they do not help."""
    memory = Memory(_whole_numbers(bound))
    if not memory.storages:
        return None
    held = tuple((place, hash(memory.storages[place].tobytes())) for place in memory.storages)
    if (key, held) not in _measured_counts:
        found, _ = _tried(module, bound.grid, arguments, memory)
        if found is not None and memory.used and not memory.is_stale:
            found = replace(found, notes=(*found.notes, _MEASURED))
        else:
            found = None
        _measured_counts[key, held] = found
    return _measured_counts[key, held]


def _whole_numbers(bound: Bound) -> dict[int, Any]:
    """What the storages of the tensors of whole numbers hold, by place."""
    found: dict[int, Any] = {}
    storages: dict[int, int] = {}
    for name, kind in bound.signature.items():
        for tensor in _tensors(kind, bound.values[name]):
            place = storages.setdefault(storage_of(tensor), len(storages) + 1)
            values = whole_numbers_in(tensor, _KNOWN)
            if values is not None:
                found[place] = values
    return found


def _tensors(kind: Any, value: Any) -> Iterator[Any]:
    """The tensors of an argument, in the order in which they are given addresses."""
    if isinstance(kind, tuple):
        for part, item in zip(kind, value, strict=True):
            yield from _tensors(part, item)
    elif kind.startswith(("*", "tensordesc")):
        tensor = value if is_tensor(value) else getattr(value, "base", None)
        if is_tensor(tensor):
            yield tensor


def source_of(bound: Bound) -> tuple[str, str, str, str]:
    """What a launch's code depends on, beside the compiler's options."""
    return (
        bound.kernel.cache_key,
        repr(bound.signature),
        repr(sorted(bound.constants.items(), key=repr)),
        repr(bound.attributes),
    )


def _text(bound: Bound, *, passes: bool) -> str:
    """The kernel's intermediate representation."""
    ir = _ir()
    backend = _backend()
    source = ASTSource(bound.kernel, bound.signature, bound.constants, bound.attributes)
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    made = source.make_ir(
        _TARGET,
        bound.options,
        backend.get_codegen_implementation(bound.options),
        backend.get_module_map(),
        context,
    )
    if passes:
        stages: dict[str, Callable[[Any, Any], Any]] = {}
        backend.add_stages(stages, bound.options, source.language)
        made = stages["ttir"](made, {})
    return str(made)


def _ir() -> Any:
    from triton._C import libtriton

    return libtriton.ir


def _arguments(bound: Bound) -> Iterator[Argument]:
    """Values of the arguments that are no constants, in order, tuples opened."""
    storages: dict[int, int] = {}
    for name, kind in bound.signature.items():
        yield from _flat(kind, bound.values[name], storages)


def _flat(kind: Any, value: Any, storages: dict[int, int]) -> Iterator[Argument]:
    if kind == "constexpr":
        return
    if isinstance(kind, tuple):
        for part, item in zip(kind, value, strict=True):
            yield from _flat(part, item, storages)
    elif kind.startswith("*"):
        yield _address(value, storages)
    elif kind.startswith("tensordesc"):
        sizes, strides = map(int, value.shape), map(int, value.strides)
        yield TensorBlock(_address(value.base, storages), tuple(sizes), tuple(strides))
    else:
        yield value if isinstance(value, bool | float) else int(value)


def _address(value: Any, storages: dict[int, int]) -> int:
    """An address in a memory where each storage has much room; tensors that share one stay so."""
    tensor = value if is_tensor(value) else getattr(value, "base", None)
    if tensor is None or not is_tensor(tensor):
        return int(value.data_ptr())
    place = storages.setdefault(storage_of(tensor), len(storages) + 1)
    return place * SPACE + int(tensor.storage_offset()) * int(tensor.element_size())


def _stated(bound: Bound, count: KernelCount) -> tuple[Stated, list[str]]:
    """What the author says of the launch, and where it is not what was counted."""
    say = getattr(bound.kernel, "launch_metadata", None)
    if say is None:
        return Stated(), []
    name = bound.kernel.fn.__name__
    metadata = SimpleNamespace(**{**vars(bound.options), "name": name, "shared": 0})
    try:
        told: Mapping[str, Any] = say(bound.grid, metadata, dict(bound.values))
        flops = [int(value) for key, value in told.items() if key.startswith("flops")]
        moved = int(told["bytes"]) if "bytes" in told else None
    except Exception as error:  # noqa: BLE001 - the user's own code
        return Stated(), [f"launch_metadata of {name} fails without a launch: {typed_line(error)}"]
    stated = Stated(sum(flops) if flops else None, moved)
    return stated, list(_differences(name, stated, count))


def _differences(name: str, stated: Stated, count: KernelCount) -> Iterator[str]:
    own = "launch_metadata of the Triton kernel"
    products = (count.useful_flops, count.issued_flops)
    flops = products if count.issued_flops else (count.vector_flops,)
    if stated.flops is not None and not _near(stated.flops, flops):
        counted = " or ".join(f"{value:,}" for value in dict.fromkeys(flops))
        yield f"{own} {name} says {stated.flops:,} FLOP, and {counted} are counted"
    least = count.read_bytes + count.written_bytes
    issued = count.loaded_bytes + count.stored_bytes + count.atomic_bytes
    if stated.bytes is not None and not _near(stated.bytes, (least, issued)):
        yield (
            f"{own} {name} says {stated.bytes:,} bytes, and {least:,} are counted "
            f"({issued:,} with those that are moved again)"
        )


def _near(stated: int, counted: Sequence[int]) -> bool:
    return any(abs(stated - value) <= _TOLERANCE * max(value, 1) for value in counted)
