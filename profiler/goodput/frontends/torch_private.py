"""Every private name of torch that goodput leans on, each behind one function.

Tried on torch 2.13; a torch without one of these names is refused when goodput attaches to it.
"""

# ruff: noqa: SLF001 - this is the one place for it

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch.autograd import profiler as _profiler
from torch.utils import _python_dispatch

_MODE_FLAGS = ("_is_in_torch_dispatch_mode", "_is_in_non_infra_torch_dispatch_mode")
NO_TASK = -1
"""The number of no backward pass."""

_modes: Any = torch._C
_autograd: Any = torch.autograd
_functions: Any = torch._C._profiler
_ProfilerClass: Any = _profiler.profile
composite_key: Any = torch._C.DispatchKey.CompositeImplicitAutograd
"""The dispatch key of operators that only call others."""


# Asked in undisturbed steps, so nothing of ours stands between: after a step the caches are the
# program's, and each Python frame costs microseconds.
backward_task: Callable[[], int] = torch._C._current_graph_task_id
"""The number of the backward pass that runs in this thread; `NO_TASK` outside."""


def profiler_query(prepared: set[int]) -> Callable[[], bool]:
    """What says whether a profiler records, or one is in `prepared`.

    It reads the flag that torch's profilers set: to ask the library itself takes some 5 us in a
    step.
    """

    def elsewhere() -> bool:
        return bool(prepared) or _profiler._is_profiler_enabled

    return elsewhere


plain_functions: Any = torch._C.DisableTorchFunction
"""A context in which no mode sees torch functions, and tensor subclasses are tensors."""

plain_tensors: Any = torch._C.DisableTorchFunctionSubclass
"""A context in which tensor subclasses are tensors, and none of their own code runs."""


def node_sequence() -> int | None:
    """The sequence number of the backward node that runs in this thread; None outside."""
    node: Any = torch._C._current_autograd_node()
    return None if node is None else int(node._sequence_nr())


def gradients_needed(node_name: str, places: tuple[int, ...]) -> tuple[bool, ...] | None:
    """Whether the backward node that runs now hands on the gradients of its inputs at `places`.

    None where no such node runs.
    """
    node: Any = torch._C._current_autograd_node()
    if node is None or not node.name().startswith(node_name):
        return None
    following = node.next_functions
    return tuple(following[place][0] is not None for place in places)


def last_sequence() -> int:
    """The sequence number that the last forward operator with a gradient took in this thread."""
    return int(_autograd._get_sequence_nr()) - 1


def open_modes() -> int:
    """How many dispatch modes are open in this thread."""
    return int(_modes._len_torch_dispatch_stack())


def mode_is_open(mode: Any) -> bool:
    """Whether a dispatch mode is open in this thread."""
    return any(_modes._get_dispatch_stack_at(place) is mode for place in range(open_modes()))


def innermost_mode() -> Any:
    """The innermost dispatch mode; None where none is open."""
    depth = _modes._len_torch_dispatch_stack()
    return _modes._get_dispatch_stack_at(depth - 1) if depth else None


def pop_mode() -> Any:
    """Takes the innermost dispatch mode off."""
    return _modes._pop_torch_dispatch_stack(None)


def push_mode(mode: Any) -> None:
    """Puts a dispatch mode back on."""
    _modes._push_on_torch_dispatch_stack(mode)


@contextmanager
def hidden_modes() -> Iterator[None]:
    """Inside, code that asks torch whether a dispatch mode is on is told no.

    While a mode handles an operator it is off the stack, but the flags beside it still stand.
    """
    before = {name: getattr(_python_dispatch, name, False) for name in _MODE_FLAGS}
    _python_dispatch.__dict__.update(dict.fromkeys(_MODE_FLAGS, False))
    try:
        yield
    finally:
        _python_dispatch.__dict__.update(before)


no_modes: Any = _python_dispatch._disable_current_modes
"""Makes a context in which no dispatch mode is on: what it runs goes to the tensors themselves."""


def open_function_modes() -> int:
    """How many modes that see torch functions are open in this thread."""
    return int(_modes._len_torch_function_stack())


def close_function_mode(mode: Any) -> None:
    """Takes `mode` off, wherever in the stack of function modes it stands; others stay."""
    above: list[Any] = []
    while open_function_modes():
        found = _modes._pop_torch_function_stack()
        if found is mode:
            break
        above.append(found)
    for other in reversed(above):
        _modes._push_on_torch_function_stack(other)


is_meta: Callable[[torch.Tensor], bool] = _modes.TensorBase.is_meta.__get__
"""Whether a tensor has no memory, whatever it may say of itself (a hollow one says that it has)."""


def parameter_of(tensor: torch.Tensor, *, requires_grad: bool) -> torch.Tensor:
    """A plain parameter of a tensor; what its class does beyond this takes longer."""
    made: torch.Tensor = torch.Tensor._make_subclass(torch.nn.Parameter, tensor, requires_grad)
    return made


is_zero: Callable[[torch.Tensor], bool] = _modes.TensorBase._is_zerotensor
"""Whether a tensor is a zero that takes no memory (a forward-mode tangent)."""


def is_fake(kind: type) -> bool:
    """Whether tensors of a class are those by which torch works out shapes for itself."""
    fake: Any = sys.modules.get("torch._subclasses.fake_tensor")
    return fake is not None and issubclass(kind, fake.FakeTensor)


_SPARSE = frozenset(
    {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}
)
_BLOCKED = frozenset({torch.sparse_bsr, torch.sparse_bsc})


def is_sparse(tensor: torch.Tensor) -> bool:
    """Whether a tensor stores only some of its elements."""
    return tensor.layout in _SPARSE


def nonzero(tensor: torch.Tensor) -> int:
    """Stored elements of a sparse tensor; those of stored blocks, where it has blocks."""
    return int(tensor.values().numel() if tensor.layout in _BLOCKED else tensor._nnz())


def is_tensor(value: object) -> bool:
    """Whether a value is a tensor."""
    return isinstance(value, torch.Tensor)


def whole_numbers_in(tensor: torch.Tensor, most: int) -> Any:
    """All elements of a tensor's storage as an array of whole numbers; None where there are none.

    None too for a tensor without memory, and for more than `most` elements.
    """
    values = getattr(tensor, "goodput_values", tensor)
    dtype = tensor.dtype
    if is_meta(values) or is_fake(type(values)) or dtype.is_floating_point or dtype.is_complex:
        return None
    storage = values.untyped_storage()
    if values.is_nested or storage.nbytes() > most * values.element_size():
        return None
    with no_modes():
        flat = torch.empty(0, dtype=dtype, device=values.device).set_(storage)
        if dtype is torch.bool:
            flat = flat.view(torch.uint8)
        return flat.cpu().numpy().copy()


def storage_of(tensor: torch.Tensor) -> int:
    """What is equal for tensors that share memory, also where there is none."""
    return int(tensor.untyped_storage()._cdata)


@contextmanager
def direct_launches() -> Iterator[None]:
    """Inside, Triton kernels that torch was told of are launched as if it had not been."""
    # A module that its package hides behind a function, and untyped.
    wrapping: Any = import_module("torch._library.triton")
    with wrapping.set_wrap_triton_enabled(False):
        yield


def _takes_functions(kind: type) -> bool:
    return issubclass(kind, torch._ops.HigherOrderOperator)


is_higher_order: Callable[[type], bool] = cache(_takes_functions)
"""Whether operators of a class take functions; asked of each call, and slow to find out."""


def body_of(operator: Any) -> Callable[..., Any] | None:
    """The Python function that an operator of the program's own runs on each device."""
    definitions: Any = import_module("torch._library.custom_ops").OPDEFS
    definition = definitions.get(operator._schema.name)
    return None if definition is None else definition._init_fn


def version_of(tensor: torch.Tensor) -> int:
    """How often a tensor was written in place."""
    return -1 if tensor.is_inference() else int(tensor._version)


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is asked of an operator at each of its calls.

    Attributes:
        operator: itself, kept so that its `id` stays its own.
        name: its qualified name without its overload.
        namespace: the first part of that.
        makes_new: whether its result has memory of its own.
    """

    operator: Any
    name: str
    namespace: str
    makes_new: bool


_FACTS: dict[int, Facts] = {}
"""By the operator's `id`: an operator's own hash is slow, and asked for often."""


def facts_of(operator: Any) -> Facts:
    """The facts of an operator."""
    found = _FACTS.get(id(operator))
    if found is None:
        name = str(operator._schema.name)
        made = not any(item.alias_info is not None for item in operator._schema.arguments)
        found = Facts(operator, name, name.partition("::")[0], made)
        _FACTS[id(operator)] = found
    return found


@cache
def name_of(operator: Any) -> str:
    """An operator's qualified name without its overload, e.g. `aten::add`."""
    return str(operator._schema.name)


def overload_of(operator: Any) -> str:
    """An operator's overload, e.g. `Tensor`; "" for the default."""
    return str(operator._schema.overload_name)


@cache
def arguments_of(operator: Any) -> tuple[tuple[str, Any], ...]:
    """The names and defaults of an operator's arguments."""
    return tuple((item.name, item.default_value) for item in operator._schema.arguments)


@cache
def written_arguments(operator: Any) -> tuple[tuple[int, str], ...]:
    """The places and names of the arguments that an operator writes to."""
    return tuple(
        (place, item.name)
        for place, item in enumerate(operator._schema.arguments)
        if item.alias_info is not None and item.alias_info.is_write
    )


_LOOPS = "torch._higher_order_ops"


@cache
def loops() -> dict[str, Callable[..., Any]]:
    """The functions that run torch's loops with functions for bodies as ordinary operators."""
    from torch._higher_order_ops.while_loop import while_loop_dense

    # Modules that functions of the same names hide, and untyped.
    scan_of: Any = import_module(f"{_LOOPS}.scan").generic_scan
    associative_scan_of: Any = import_module(f"{_LOOPS}.associative_scan").generic_associative_scan

    def scan(body: Any, start: Any, items: Any, also: Any = ()) -> Any:
        return scan_of(body, start, items, additional_inputs=also)

    def associative_scan(combine: Any, items: Any, also: Any = ()) -> Any:
        return associative_scan_of(combine, items, additional_inputs=also)

    return {
        "scan": scan,
        "associative_scan": associative_scan,
        "while_loop": while_loop_dense,
    }


def packet_of(operator: Any) -> Any:
    """All overloads of an operator, the key of torch's own formulas."""
    return operator._overloadpacket


def range_of(name: str, **fields: str) -> Any:
    """A context that a running profiler records under `name`; nearly free without one."""
    return _functions._RecordFunctionFast(name, [], fields)


def profiler_class() -> Any:
    """The class that every torch profiler starts and stops through."""
    if not hasattr(_ProfilerClass, "_prepare_trace"):
        raise AttributeError("torch.autograd.profiler.profile has no _prepare_trace")
    return _ProfilerClass


def compile_is_used() -> bool:
    """Whether torch.compile was called: its backends are remembered; eager use leaves None there.

    torch._dynamo itself is imported by every optimizer, so its presence says nothing.
    """
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    return dynamo is not None and any(
        backend is not None for backend in dynamo.cached_backends.values()
    )


def never_compile(*functions: Callable[..., Any]) -> None:
    """Lets torch.compile pass over functions of ours, and over all that they call.

    What a compiled module's hooks run would be compiled like any other code of the program's.
    """
    frames = sys.modules.get("torch._dynamo.eval_frame")
    if frames is not None:
        dynamo: Any = import_module("torch._C._dynamo.eval_frame")
        skip = dynamo._FrameExecStrategy(dynamo._FrameAction.SKIP, dynamo._FrameAction.SKIP)
        for function in functions:
            dynamo.set_code_exec_strategy(function.__code__, skip)


def compilations() -> int:
    """How many functions torch.compile has taken up, whatever became of them."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return 0 if dynamo is None else int(dynamo.counters["frames"]["total"])


def is_compiled(cls: type, module: torch.nn.Module) -> bool:
    """Whether `cls` wraps compiled modules, or is the class of `module` compiled in place."""
    dynamo: Any = sys.modules.get("torch._dynamo.eval_frame")
    if dynamo is not None and issubclass(cls, dynamo.OptimizedModule):
        return True
    return type(module) is cls and module._compiled_call_impl is not None
