"""What operations that make, lay out and reduce tiles mean, and products of tiles."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from goodput.readers.ttir_arithmetic import numbers
from goodput.readers.ttir_floats import FLOPS, SPECIAL
from goodput.readers.ttir_index import Array, Index, Mask, applied, masked, tile
from goodput.readers.ttir_machine import PURE, Handler, Machine, UncountableError, Value, agreed
from goodput.readers.ttir_products import Data, Source, masked_sources
from goodput.readers.ttir_text import Block, Operation, Type, item_bits

_BATCHED = 3
"""The rank of tiles that hold several matrices."""


def _program(machine: Machine, op: Operation, _: Sequence[Value]) -> Sequence[Value]:
    axis = "xyz".index(op.text.split(" ")[1])
    if op.name == "tt.get_num_programs":
        return (Index((), np.array([machine.grid[axis]], np.int64)),)
    return (Index((), machine.places[axis]),)


def _range(_: Machine, op: Operation, __: Sequence[Value]) -> Sequence[Value]:
    return (tile(np.arange(op.number("start"), op.number("end"))),)


def _splat(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    value, shape = values[0], op.type.shape
    if isinstance(value, Index):
        return (Index(shape, value.scalar),)
    if isinstance(value, Mask):
        return (Mask(shape, value.scalar, hidden=value.hidden),)
    return (_spread(value),)


def _spread(value: Value) -> Data:
    """A number of data in every place of a tile."""
    assert isinstance(value, Data)  # noqa: S101 - descriptors are never laid into a tile
    value.use()
    return replace(value, valid=None, sources=())


def _single(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    value = values[0]
    if isinstance(value, Index) and not value.atoms:
        return (Index((), value.scalar + sum(int(a.sum()) for a in value.fixed.values())),)
    return _pieces(machine, op, values)


def _expand(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    axis = op.number("axis")
    rank = len(op.takes[0].shape)
    sources = [*range(axis), None, *range(axis, rank)]
    return (_moved(values[0], sources, op.type.shape),)


def _transpose(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    found = re.search(r"order = array<i32: ([\d, ]+)>", op.text)
    if found is None:
        raise UncountableError(op.name, f"it has no order: {op.text}")
    order = [int(axis) for axis in found[1].split(",")]
    value = values[0]
    if isinstance(value, Data) and value.sources and order == [1, 0]:
        sources = tuple(source.transposed(op.type.shape) for source in value.sources)
        valid = None if value.valid is None else value.valid.moved(order, op.type.shape)
        return (replace(value, valid=valid, sources=sources),)
    return (_moved(value, order, op.type.shape),)


def _moved(value: Value, sources: Sequence[int | None], shape: tuple[int, ...]) -> Value:
    if isinstance(value, Index | Mask):
        found: Value = value.moved(sources, shape)
        return found
    assert isinstance(value, Data)  # noqa: S101 - the same
    value.use()
    valid = None if value.valid is None else value.valid.moved(sources, shape)
    return replace(value, valid=valid, sources=())


def _broadcast(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    value, shape = values[0], op.type.shape
    if isinstance(value, Index | Mask):
        return (value.broadcast(shape),)
    assert isinstance(value, Data)  # noqa: S101 - the same
    value.use()
    valid = None if value.valid is None else value.valid.broadcast(shape)
    return (replace(value, valid=valid, sources=()),)


def _reshape(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    value, old, new = values[0], op.takes[0].shape, op.type.shape
    if isinstance(value, Data):
        value.use()
        return (Data(value.cause, constant=value.constant),)

    def reshaped(found: Array) -> Array:
        return np.broadcast_to(found, (len(found), *old)).reshape(len(found), *new)

    if isinstance(value, Index):
        rest = Index(old, np.zeros(1, np.int64), value.fixed, value.atoms)
        scalar = Index(new, value.scalar)
        if not rest.fixed and not rest.atoms:
            return (scalar,)
        return (applied("reshape", (rest,), reshaped, new, new) + scalar,)
    if isinstance(value, Mask):
        if not value.fixed and not value.atoms:
            return (Mask(new, value.scalar, hidden=value.hidden),)
        return (masked("reshape", (value,), reshaped, new, new),)
    raise UncountableError(op.name, "it reshapes no tile")


def _pieces(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Tiles joined, taken apart, or looked up in: of whole numbers nothing is known any more."""
    for value in values:
        if isinstance(value, Data):
            value.use()
    cause = next((v.cause for v in values if isinstance(v, Data) and v.cause), op.name)
    return (Data(cause),) * max(1, len(op.results))


def _address(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    base, offset = values[0], numbers(values[1])
    if not isinstance(base, Index) or offset is None:
        return _pieces(machine, op, values)
    return (base + offset.times(max(1, item_bits(op.takes[0].pointee) // 8)),)


def _region_work(machine: Machine, blocks: Sequence[Block]) -> tuple[int, int]:
    """Vector FLOPs and special functions of one combination of a reduction or scan."""
    flops = special = 0
    for op in (op for block in blocks for op in block.operations):
        if op.name == "tt.call":
            more = _region_work(machine, machine.function(op).blocks)
            flops, special = flops + more[0], special + more[1]
        elif op.regions or op.name.startswith("cf."):
            raise UncountableError(op.name, "it stands inside a reduction or a scan")
        elif op.gives or op.takes:
            floats = (op.gives or op.takes)[0].is_float
            flops += FLOPS.get(op.name, 0) if floats else 0
            special += op.name in SPECIAL
    return flops, special


def _reduce(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    shape, axis = op.takes[0].shape, op.number("axis")
    flops, special = _region_work(machine, op.regions[0])
    steps = math.prod(shape) - math.prod(shape) // shape[axis]
    machine.count(flops=flops * steps, special=special * steps)
    return tuple(_along(value, axis, kind.shape) for value, kind in _pairs(values, op))


def _scan(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    shape, axis = op.takes[0].shape, op.number("axis")
    flops, special = _region_work(machine, op.regions[0])
    steps = math.prod(shape) - math.prod(shape) // shape[axis]
    machine.count(flops=flops * steps, special=special * steps)
    return tuple(_along(value, None, kind.shape) for value, kind in _pairs(values, op))


def _pairs(values: Sequence[Value], op: Operation) -> list[tuple[Value, Type]]:
    return list(zip(values, op.gives, strict=True))


def _along(value: Value, axis: int | None, shape: tuple[int, ...]) -> Data:
    """What a reduction along `axis` (a scan without one) leaves of what is known of data."""
    if not isinstance(value, Data):
        return Data("tt.reduce" if axis is not None else "tt.scan")
    value.use()
    valid = value.valid
    if valid is None or axis is None:
        return Data(value.cause, valid)
    return Data(value.cause, without_axis(valid, axis, shape))


def without_axis(mask: Mask, axis: int, shape: tuple[int, ...]) -> Mask | None:
    """The parts of a mask that do not differ along `axis`, in the tile without it."""
    fixed = {axes: array for axes, array in mask.fixed.items() if not axes[axis]}
    atoms = tuple(atom for atom in mask.atoms if not atom.axes[axis])
    kept = Mask(mask.shape, mask.scalar, fixed, atoms)
    if kept.is_open:
        return None
    sources = [place for place in range(len(mask.shape)) if place != axis]
    return kept.moved(sources, shape)


def _dot(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    left, right, total = (_data(value) for value in values[:3])
    rows, depth = op.takes[0].shape[-2:]
    columns = op.takes[1].shape[-1]
    return (_product(machine, op, (left, right, total), (rows, columns, depth)),)


_SCALED = re.compile(
    r"tt\.dot_scaled (%[\w$.\-#]+)(?: scale %[\w$.\-#]+)?, (%[\w$.\-#]+)(?: scale %[\w$.\-#]+)?, "
    r"(%[\w$.\-#]+)"
)


def _dot_scaled(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """A product of elements with a scale for each group of them."""
    found = _SCALED.match(op.text)
    if found is None:
        raise UncountableError(op.name, f"its operands cannot be read: {op.text}")
    by_name = dict(zip(op.operands, values, strict=True))
    for value in values:
        _data(value).use()
    left, right, total = (_data(by_name[name]) for name in found.groups())
    shapes = dict(zip(op.operands, (kind.shape for kind in op.takes), strict=False))
    tile = shapes.get(found[1], op.takes[0].shape)
    along = "lhs_k_pack = false" not in op.text
    depth = tile[-1] * (2 if "lhs = e2m1" in op.text and along else 1)
    operands = (_unpacked(op, "lhs", left, axis=1), _unpacked(op, "rhs", right, axis=0), total)
    rows, columns = op.type.shape[-2:]
    return (_product(machine, op, operands, (rows, columns, depth)),)


def _unpacked(op: Operation, side: str, operand: Data, axis: int) -> Data:
    """An operand element by element: those of 4 bits lie two a byte, along the depth or across."""
    mask = operand.valid
    if f"{side} = e2m1" not in op.text or mask is None or len(mask.shape) >= _BATCHED:
        return operand
    axis = 1 - axis if f"{side}_k_pack = false" in op.text else axis
    old = mask.shape
    new = tuple(size * (1 + (place == axis)) for place, size in enumerate(old))

    def repeated(values: Array) -> Array:
        return np.repeat(np.broadcast_to(values, (len(values), *old)), 2, axis + 1)

    return replace(operand, valid=masked("unpack", (mask,), repeated, new, axis))


def _data(value: Value) -> Data:
    return value if isinstance(value, Data) else Data()


def _product(
    machine: Machine,
    op: Operation,
    operands: tuple[Data, Data, Data],
    shape: tuple[int, int, int],
) -> Data:
    left, right, total = operands
    left.use()
    right.use()
    batch = math.prod(op.type.shape[: -_BATCHED + 1])
    plain = batch == 1 and len(op.type.shape) < _BATCHED
    masks = (left.valid, right.valid) if plain else (None, None)
    product = machine.products.add(id(op), shape, masks, machine.active, total, _mode(op), batch)
    if not plain:
        total.use()
        return Data(op.name)
    valid = _result_mask(masks, shape)
    # A bias that erases, as masks of attention do, is made the product's accumulator.
    erased = total.valid if total.erases and not total.sources else None
    if erased is not None:
        valid = erased if valid is None else valid & erased
    elif total.constant is None or total.sources:
        valid = agreed(valid, total.valid)
    (source,) = masked_sources((Source.of(product),), erased)
    others = tuple(s for s in total.sources if s.product is not product)
    return Data(op.name, valid, (*others, source), erases=total.erases)


_MODES = {
    "f64": "float64",
    "bf16": "bfloat16",
    "f16": "float16",
    "f8E4M3FN": "float8_e4m3",
    "f8E4M3FNUZ": "float8_e4m3",
    "f8E5M2": "float8_e5m2",
    "f8E5M2FNUZ": "float8_e5m2",
    "i8": "int8",
}


def _mode(op: Operation) -> str:
    """The math mode of a product: the type of what is multiplied, and how."""
    element = op.takes[0].element
    if op.name == "tt.dot_scaled":
        return "nvfp4" if "lhs = e2m1 rhs = e2m1" in op.text else "mxfp8"
    if element == "f32":
        found = re.search(r"inputPrecision = (\w+)", op.text)
        return "tf32" if found and found[1] == "tf32" else "float32"
    return _MODES.get(element, "")


def _result_mask(
    operands: tuple[Mask | None, Mask | None], shape: tuple[int, int, int]
) -> Mask | None:
    """Where rows and columns of a result are of data."""
    left, right = operands
    rows = None if left is None else without_axis(left, 1, shape[:1])
    columns = None if right is None else without_axis(right, 0, shape[1:2])
    found = None
    if rows is not None:
        found = rows.moved((0, None), shape[:2])
    if columns is not None:
        laid = columns.moved((None, 0), shape[:2])
        found = laid if found is None else found & laid
    return found


def _nothing(_: Machine, __: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Debugging and hints."""
    for value in values:
        if isinstance(value, Data):
            value.use()
    return ()


HANDLERS: dict[str, Handler] = {
    "tt.get_program_id": _program,
    "tt.get_num_programs": _program,
    "tt.make_range": _range,
    "tt.splat": _splat,
    "tt.unsplat": _single,
    "tt.expand_dims": _expand,
    "tt.trans": _transpose,
    "tt.broadcast": _broadcast,
    "tt.reshape": _reshape,
    "tt.join": _pieces,
    "tt.split": _pieces,
    "tt.cat": _pieces,
    "tt.gather": _pieces,
    "tt.histogram": _pieces,
    "tt.addptr": _address,
    "tt.reduce": _reduce,
    "tt.scan": _scan,
    "tt.dot": _dot,
    "tt.dot_scaled": _dot_scaled,
    "tt.print": _nothing,
    "tt.assert": _nothing,
    "llvm.intr.assume": _nothing,
    "gpu.barrier": _nothing,
    "ttg.barrier": _nothing,
}
PURE.update(
    [
        "tt.get_program_id",
        "tt.get_num_programs",
        "tt.make_range",
        "tt.splat",
        "tt.expand_dims",
        "tt.broadcast",
        "tt.addptr",
        "tt.reshape",
    ]
)
