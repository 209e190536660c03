"""PyTorch's matrix products in neutral terms.

Composites (linear, matmul, einsum) stay unregistered: the products inside them are counted.
A sparse operand is told by the attributes `nnz`, its stored elements, and `sparse`, its place (a
live count knows them, a trace does not).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from goodput.formulas.aten_arguments import argument, dtype, flag, number, tensor, tensors, text
from goodput.formulas.contraction import contraction, epilogue, real_products
from goodput.formulas.modes import matrix_operator, mode_of
from goodput.formulas.registry import register
from goodput.work import ITEM_BYTES, Call, Contraction, TensorSpec, Work

_DTYPE_OVERLOAD_ARGUMENTS = 6
"""addmm(self, mat1, mat2, out_dtype, beta, alpha): one scalar more than the plain overload."""


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product as a call states it.

    Attributes:
        batch, m, n, k: the contraction.
        operands: the two factors, the first one's dtype is the math mode.
        output: the result's shape.
        dtype: the result's dtype.
        addend: what is added to the product, None for nothing.
        also_read: scales and offsets.
        vector: arithmetic after the product.
    """

    batch: int
    m: int
    n: int
    k: int
    operands: tuple[TensorSpec, TensorSpec]
    output: tuple[int, ...]
    dtype: str
    addend: TensorSpec | None = None
    also_read: tuple[TensorSpec, ...] = ()
    vector: Work = Work()  # noqa: RUF009  # frozen, so sharing it is safe

    @property
    def work(self) -> Work:
        """Its work: each operand read once, the result written once."""
        left, right = self.operands
        read = (left, right, *self.also_read, *([self.addend] if self.addend else []))
        moved = Work(
            bytes_read=sum(spec.bytes for spec in read),
            bytes_written=math.prod(self.output) * ITEM_BYTES.get(self.dtype, 4),
        )
        real = real_products(left.dtype, right.dtype)
        return contraction(self.batch, self.m, self.n, self.k, real) + self.vector + moved


Reader: TypeAlias = Callable[[Call], "Product | None"]

_READERS: dict[str, Reader] = {}
_SPARSE = {"aten::mm": 0, "aten::bmm": 0, "aten::mv": 0, "aten::addmm": 1, "aten::_sparse_addmm": 1}
"""The place of the left factor of products that take a sparse one."""


def contraction_of(call: Call) -> Contraction | None:
    """The contraction that a call of the matmul family is; None for any other, or a sparse one."""
    reader = _READERS.get(call.name)
    product = reader(call) if reader and "nnz" not in call.attributes else None
    if product is None:
        return None
    return Contraction(product.batch, product.m, product.n, product.k, mode_of(call))


def _work(call: Call) -> Work | None:
    if "nnz" in call.attributes:
        return _sparse_work(call)
    product = _READERS[call.name](call)
    return product.work if product else None


def _sparse_work(call: Call) -> Work | None:
    """Each stored element of the sparse operand meets one row, or one column, of the other.

    Its values and one index each are read.
    """
    first = _SPARSE.get(call.name)
    left, right = (tensor(call, (first or 0) + place) for place in (0, 1))
    stored, place = call.attributes["nnz"], call.attributes.get("sparse", 0)
    if first is None or left is None or right is None or not isinstance(stored, int):
        return None
    is_vector = call.name == "aten::mv"
    m, n = math.prod(left.shape[-2:-1]), 1 if is_vector else right.shape[-1]
    if place == first:
        rows, dense = n, right
    elif place == first + 1 and not is_vector:
        rows, dense = m, left
    else:
        return None  # the addend, or nothing that a product has
    output = left.shape[:-1] if is_vector else (*left.shape[:-1], n)
    values, indices = TensorSpec((stored,), left.dtype), TensorSpec((stored,), "int64")
    product = Product(1, 1, rows, stored, (values, dense), output, left.dtype, also_read=(indices,))
    return product.work


@matrix_operator("aten::_sparse_addmm", operand=1)
@register("aten::_sparse_addmm")
def _sparse_addmm(call: Call) -> Work | None:
    """What `torch.sparse.mm` calls; a trace, which does not know the stored elements, says None."""
    return _sparse_work(call) if "nnz" in call.attributes else None


def family(
    *names: str, operand: int = 0, mode: str = "", stored: Mapping[str, str] | None = None
) -> Callable[[Reader], Reader]:
    """A decorator that makes a reader the one of the operators `names`, and so their formula.

    `operand`, `mode` and `stored` are those of `matrix_operator`.
    """

    def decorate(reader: Reader) -> Reader:
        _READERS.update(dict.fromkeys(names, reader))
        declared = matrix_operator(*names, operand=operand, mode=mode, stored=stored)
        declared(register(*names)(_work))
        return reader

    return decorate


def plain(left: TensorSpec, right: TensorSpec, result: str) -> Product:
    """`[..., m, k] x [..., k, n]`."""
    *outer, m, k = left.shape
    n = right.shape[-1]
    return Product(math.prod(outer), m, n, k, (left, right), (*outer, m, n), result)


def _added(
    product: Product, addend: TensorSpec, alpha: complex, beta: complex, extra: Work | None = None
) -> Product:
    """`beta addend + alpha product`; torch does not read the addend where beta is 0."""
    vector = epilogue(math.prod(product.output), alpha, beta, product.dtype)
    return replace(
        product,
        addend=addend if beta != 0 else None,
        vector=product.vector + vector + (extra or Work()),
    )


def biased(product: Product, bias: TensorSpec | None) -> Product:
    """The product with a bias added, if there is one."""
    return _added(product, bias, 1, 1) if bias else product


@family("aten::mm", "aten::bmm")
def _mm(call: Call) -> Product | None:
    left, right = tensor(call, 0), tensor(call, 1)
    if left is None or right is None:
        return None
    return plain(left, right, dtype(call, 2, left.dtype))


@family("aten::mv")
def _mv(call: Call) -> Product | None:
    matrix, vector = tensor(call, 0), tensor(call, 1)
    return None if matrix is None or vector is None else _matrix_vector(matrix, vector)


def _matrix_vector(matrix: TensorSpec, vector: TensorSpec) -> Product:
    m, k = matrix.shape
    return Product(1, m, 1, k, (matrix, vector), (m,), matrix.dtype)


@family("aten::dot", "aten::vdot")
def _dot(call: Call) -> Product | None:
    left, right = tensor(call, 0), tensor(call, 1)
    if left is None or right is None:
        return None
    return Product(1, 1, 1, left.numel, (left, right), (), left.dtype)


def _scales(call: Call) -> tuple[complex, complex]:
    """`(alpha, beta)` of `op(self, a, b, [out_dtype,] beta, alpha)`."""
    place = 4 if _has_out_dtype(call) else 3
    return number(call, place + 1, 1), number(call, place, 1)


def _has_out_dtype(call: Call) -> bool:
    overload = call.attributes.get("overload")
    if isinstance(overload, str):
        return overload.startswith("dtype")
    last = argument(call, _DTYPE_OVERLOAD_ARGUMENTS - 1)
    return last is not None and not isinstance(last, TensorSpec)


@family("aten::addmm", "aten::addmm_", "aten::baddbmm", "aten::baddbmm_", operand=1)
def _addmm(call: Call) -> Product | None:
    addend, left, right = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    if addend is None or left is None or right is None:
        return None
    result = dtype(call, 3, left.dtype) if _has_out_dtype(call) else left.dtype
    return _added(plain(left, right, result), addend, *_scales(call))


@family("aten::_addmm_activation", operand=1)
def _addmm_activation(call: Call) -> Product | None:
    addend, left, right = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    if addend is None or left is None or right is None:
        return None
    product = plain(left, right, left.dtype)
    elements = math.prod(product.output)
    # ReLU is one maximum; GELU is 0.5 x (1 + erf(x / sqrt 2)): 4 FLOP and one special function.
    gelu = Work(vector_flops=4 * elements, special=elements)
    activation = gelu if flag(call, 5) else Work(vector_flops=elements)
    return _added(product, addend, number(call, 4, 1), number(call, 3, 1), activation)


@family("aten::addbmm", "aten::addbmm_", operand=1)
def _addbmm(call: Call) -> Product | None:
    addend, left, right = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    if addend is None or left is None or right is None:
        return None
    batch, m, k = left.shape
    n = right.shape[-1]
    # The batch is summed over, so it is part of the reduction.
    product = Product(1, m, n, batch * k, (left, right), (m, n), left.dtype)
    return _added(product, addend, *_scales(call))


@family("aten::addmv", "aten::addmv_", operand=1)
def _addmv(call: Call) -> Product | None:
    addend, matrix, vector = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    if addend is None or matrix is None or vector is None:
        return None
    return _added(_matrix_vector(matrix, vector), addend, *_scales(call))


def _unpacked(spec: TensorSpec, dimension: int) -> int:
    """The size of a dimension of 4-bit numbers, two of which torch packs into one element."""
    return spec.shape[dimension] * (2 if spec.dtype.startswith("float4") else 1)


def _scaled(
    call: Call, scales: tuple[TensorSpec, ...], bias: TensorSpec | None, result: str
) -> Product | None:
    """`scale_a scale_b (a x b) + bias`: one multiply a result for the scales."""
    left, right = tensor(call, 0), tensor(call, 1)
    if left is None or right is None:
        return None
    m, n, k = left.shape[0], right.shape[1], _unpacked(left, 1)
    vector = Work(vector_flops=m * n)
    product = Product(1, m, n, k, (left, right), (m, n), result, also_read=scales, vector=vector)
    return biased(product, bias)


def _first_dtype(call: Call) -> str:
    left = tensor(call, 0)
    return left.dtype if left else ""


@family("aten::_scaled_mm")
def _scaled_mm(call: Call) -> Product | None:
    scales = tuple(spec for spec in (tensor(call, 2), tensor(call, 3)) if spec)
    return _scaled(call, scales, tensor(call, 4), dtype(call, 6, _first_dtype(call)))


@family("aten::_scaled_mm_v2")
def _scaled_mm_v2(call: Call) -> Product | None:
    scales = tensors(call, 2) + tensors(call, 5)
    return _scaled(call, scales, tensor(call, 8), dtype(call, 9, _first_dtype(call)))


def _grouped(
    call: Call, offsets: int, scales: tuple[TensorSpec, ...], result: str
) -> Product | None:
    """Products of a group each, the groups stacked in rows, columns, the reduction or a batch.

    Every row (or column, or summed index) belongs to one group; `offsets` that end before the last
    row would do less, which shapes do not show.
    """
    left, right, offset = tensor(call, 0), tensor(call, 1), tensor(call, offsets)
    if left is None or right is None:
        return None
    stacked = (len(left.shape), len(right.shape))
    m, n, k = left.shape[-2], right.shape[-1], _unpacked(left, -1)
    outputs = {
        (2, 3): (m, n),
        (3, 2): (m, n),
        (2, 2): (*(offset.shape if offset else (1,)), m, n),
        (3, 3): (left.shape[0], m, n),
    }
    read = (*scales, *([offset] if offset else []))
    batch = left.shape[0] if stacked == (3, 3) else 1
    vector = Work(vector_flops=math.prod(outputs[stacked])) if scales else Work()
    product = Product(
        batch, m, n, k, (left, right), outputs[stacked], result, also_read=read, vector=vector
    )
    return biased(product, tensor(call, offsets + 1))


@family("aten::_grouped_mm")
def _grouped_mm(call: Call) -> Product | None:
    return _grouped(call, 2, (), dtype(call, 4, _first_dtype(call)))


@family("aten::_scaled_grouped_mm")
def _scaled_grouped_mm(call: Call) -> Product | None:
    scales = tuple(spec for spec in (tensor(call, 2), tensor(call, 3)) if spec)
    return _grouped(call, 4, scales, dtype(call, 7, "bfloat16"))


@family("aten::_scaled_grouped_mm_v2")
def _scaled_grouped_mm_v2(call: Call) -> Product | None:
    return _grouped(call, 8, tensors(call, 2) + tensors(call, 5), dtype(call, 10, "bfloat16"))


def _transposed(left: TensorSpec, weight: TensorSpec, bias: TensorSpec | None) -> Product:
    """`[..., k] x [n, k]^T + bias`: the layout of every linear layer."""
    *outer, k = left.shape
    n = weight.shape[0]
    output = (*outer, n)
    product = Product(1, math.prod(outer), n, k, (left, weight), output, left.dtype)
    return biased(product, bias)


@family("aten::mkldnn_linear")
def _mkldnn_linear(call: Call) -> Product | None:
    left, weight = tensor(call, 0), tensor(call, 1)
    return None if left is None or weight is None else _transposed(left, weight, tensor(call, 2))


@family("mkldnn::_linear_pointwise")
def _linear_pointwise(call: Call) -> Product | None:
    """`(X, W, B, attr, ...)`, or with a second operand `(X, other, W, B, attr)`.

    What follows the product (`attr`) costs one FLOP a result, and reads `other` once.
    """
    third = tensor(call, 2)
    binary = third is not None and len(third.shape) > 1
    left, weight, bias = tensor(call, 0), tensor(call, 1 + binary), tensor(call, 2 + binary)
    if left is None or weight is None:
        return None
    product = _transposed(left, weight, bias)
    if binary or text(call, 3, "none") != "none":
        addend = tensor(call, 1) if binary else None
        return _pointwise(product, addend)
    return product


def _pointwise(product: Product, other: TensorSpec | None) -> Product:
    once = Work(vector_flops=math.prod(product.output), bytes_read=other.bytes if other else 0)
    return replace(product, vector=product.vector + once)


@family("mkl::_mkl_linear")
def _mkl_linear(call: Call) -> Product | None:
    left, weight = tensor(call, 0), tensor(call, 2)
    return None if left is None or weight is None else _transposed(left, weight, tensor(call, 3))


@register("aten::addr", "aten::addr_")
def _addr(call: Call) -> Work | None:
    """`beta self + alpha (u v^T)`: one multiply a result and no reduction, so vector work."""
    addend, left, right = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    if addend is None or left is None or right is None:
        return None
    alpha, beta = _scales(call)
    elements = left.numel * right.numel
    read = left.bytes + right.bytes + (addend.bytes if beta != 0 else 0)
    outer = Work(vector_flops=elements, bytes_read=read, bytes_written=elements * left.item_bytes)
    return outer + epilogue(elements, alpha, beta, left.dtype)
