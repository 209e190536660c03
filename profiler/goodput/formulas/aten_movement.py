"""PyTorch's views, which move nothing, and its copies."""

from __future__ import annotations

import math

from goodput.formulas.aten_recorded import (
    argument,
    dtype,
    formula,
    integer,
    integers,
    output,
    tensor,
    tensor_list,
)
from goodput.formulas.movement import copy, fill
from goodput.formulas.pointwise import promote
from goodput.work import Call, TensorSpec, Work

# fmt: off
NOTHING = frozenset(
    {
        # views: another shape over the same memory
        "_conj", "_neg_view", "_reshape_alias", "_unsafe_view", "alias", "as_strided",
        "as_strided_", "detach", "detach_", "diagonal", "expand", "lift", "lift_fresh", "permute",
        "select", "slice", "slice_inverse", "split", "split_with_sizes", "squeeze", "squeeze_",
        "t", "t_", "transpose", "transpose_", "unbind", "unfold", "unsafe_split",
        "unsafe_split_with_sizes", "unsqueeze", "unsqueeze_", "view", "view_as_complex",
        "view_as_real", "_fw_primal", "_make_dual", "_indices", "_values", "indices", "values",
        # memory that is reserved, not written
        "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty",
        "new_empty_strided", "_efficientzerotensor", "resize_", "resize_as_", "set_",
        # bookkeeping
        "_assert_async", "_assert_scalar", "_dimI", "_dimV", "_functional_assert_scalar",
        "_functional_sym_constrain_range", "_functional_sym_constrain_range_for_size",
        "_linalg_check_errors", "_make_dep_token", "_nested_get_jagged_dummy",
        "_nested_get_lengths", "_nested_tensor_size", "_nested_tensor_storage_offsets",
        "_nested_tensor_strides", "_nested_view_from_buffer",
        "_nested_get_max_seqlen", "_nested_get_min_seqlen", "_nested_get_offsets",
        "_nested_get_ragged_idx", "_nested_get_values", "_nested_view_from_jagged", "_nnz",
        "_print", "dense_dim", "is_coalesced", "sparse_dim",
        "_assert_tensor_metadata", "_fused_sdp_choice",
        "_functional_assert_async", "_has_same_storage_numel", "is_pinned", "is_same_size",
        "is_set_to", "record_stream", "sym_constrain_range", "sym_constrain_range_for_size",
    }
)
"""Operators that neither compute nor move anything."""
# fmt: on


def nothing(_call: Call) -> Work:
    """No work at all."""
    return Work()


def read_scalar(call: Call) -> Work:
    """One element brought to Python."""
    return Work(bytes_read=tensor(call, 0).item_bytes)


def same(call: Call) -> Work:
    """A copy as large as the input: clones, flips, rolls, triangles, shuffles."""
    source = tensor(call, 0)
    return copy((source,), TensorSpec(source.shape, source.dtype))


def converted(call: Call) -> Work:
    """A copy in another dtype or on another device."""
    source = tensor(call, 0)
    return copy((source,), TensorSpec(source.shape, dtype(argument(call, 1), source.dtype)))


def copied(call: Call) -> Work:
    """A copy into a given tensor; a smaller source is broadcast."""
    return copy((tensor(call, 1),), tensor(call, 0))


def copied_list(call: Call) -> Work:
    """Copies of the tensors of one list into those of another."""
    targets, sources = tensor_list(call, 0), tensor_list(call, 1)
    total = Work()
    for target, source in zip(targets, sources, strict=True):
        total += copy((source,), target)
    return total


def cloned_list(call: Call) -> Work:
    """A copy of every tensor of a list."""
    items = tensor_list(call, 0)
    return Work(
        bytes_read=sum(item.bytes for item in items),
        bytes_written=sum(item.numel * item.item_bytes for item in items),
    )


def made_sparse(call: Call) -> Work | None:
    """A tensor read; what is stored of it (attribute `nnz`) written, an index with each."""
    source, stored = tensor(call, 0), call.attributes.get("nnz")
    if not isinstance(stored, int):
        return None
    return copy((source,), TensorSpec((stored,), source.dtype)) + fill(
        TensorSpec((stored,), "int64")
    )


def of_nested(call: Call) -> Work:
    """The parts of a nested tensor read, and the padded one written."""
    return copy((tensor(call, 0),), output(call))


def zeroed_list(call: Call) -> Work:
    """Zeros in every tensor of a list."""
    total = Work()
    for item in tensor_list(call, 0):
        total += fill(item)
    return total


def joined(call: Call) -> Work:
    """Tensors put together into one."""
    items = tensor_list(call, 0)
    target = TensorSpec((sum(item.numel for item in items),), promote(items))
    return copy(items, target)


def chunked(call: Call) -> Work:
    """Tensors padded to a whole number of chunks and put together chunk by chunk."""
    items, dim, chunks = tensor_list(call, 0), integer(call, 1), integer(call, 2)
    padded = 0
    for item in items:
        size = item.shape[dim]
        padded += item.numel // size * -(-size // chunks) * chunks if size else 0
    return copy(items, TensorSpec((padded,), promote(items)))


def block_diagonal(call: Call) -> Work:
    """Matrices put on a diagonal of zeros."""
    items = tensor_list(call, 0)
    pairs = [(1, 1, *item.shape)[-2:] for item in items]
    shape = (sum(rows for rows, _ in pairs), sum(columns for _, columns in pairs))
    return copy(items, TensorSpec(shape, promote(items)))


def repeated(call: Call) -> Work:
    """A tensor written several times."""
    source, repeats = tensor(call, 0), integers(call, 1)
    return copy((source,), TensorSpec((source.numel * math.prod(repeats),), source.dtype))


def repeat_interleaved(call: Call) -> Work:
    """Elements repeated in place; by a tensor of counts the size is in the data."""
    source, counts = tensor(call, 0), argument(call, 1)
    if isinstance(counts, int) and len(call.inputs) > 2:
        return copy((source,), TensorSpec((source.numel * counts,), source.dtype))
    sources = (source, counts) if isinstance(counts, TensorSpec) else (source,)
    return copy(sources, output(call))


def padded(call: Call) -> Work:
    """A tensor with a border; the padding gives two sizes a dimension, the last one first."""
    source, border = tensor(call, 0), integers(call, 1)
    shape = list(source.shape)
    for index in range(len(border) // 2):
        shape[-1 - index] += border[2 * index] + border[2 * index + 1]
    return copy((source,), TensorSpec(tuple(shape), source.dtype))


def padded_backward(call: Call) -> Work:
    """The gradient of a reflecting or replicating border: each element is added to its place."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    work = copy((gradient,), TensorSpec(source.shape, gradient.dtype))
    return work + Work(vector_flops=gradient.numel - source.numel)


def embedded(call: Call) -> Work:
    """The gradient of a view: zeros of the input's size around what was viewed."""
    gradient = tensor(call, 0)
    return copy((gradient,), TensorSpec(integers(call, 1), gradient.dtype))


def unfolded_backward(call: Call) -> Work:
    """The gradient of overlapping windows: each element is added to its place."""
    return embedded(call) + Work(vector_flops=tensor(call, 0).numel)


def replaced(call: Call) -> Work:
    """A copy of a tensor with a part replaced: of the old one only the rest is read."""
    target, part = tensor(call, 0), tensor(call, 1)
    rest = max(0, target.numel - part.numel) * target.item_bytes
    return Work(bytes_read=part.bytes + rest, bytes_written=target.numel * target.item_bytes)


def diagonal_matrices(call: Call) -> Work:
    """Vectors put on the diagonals of matrices of zeros."""
    source = tensor(call, 0)
    offset = argument(call, 1)
    size = source.shape[-1] + abs(offset if isinstance(offset, int) else 0)
    return copy((source,), TensorSpec((*source.shape[:-1], size, size), source.dtype))


def split_copies(call: Call) -> Work:
    """All parts of a tensor, written one by one."""
    source = tensor(call, 0)
    return copy((source,), TensorSpec(source.shape, source.dtype))


def columns(call: Call) -> Work:
    """Windows of an image as columns (im2col)."""
    source = tensor(call, 0)
    kernel, dilation, padding, stride = (integers(call, place) * 2 for place in range(1, 5))
    windows = 1
    for axis in range(2):
        size = source.shape[axis - 2]
        span = size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1
        windows *= span // stride[axis] + 1
    planes = math.prod(source.shape[:-2])
    written = planes * math.prod(kernel[:2]) * windows
    return copy((source,), TensorSpec((written,), source.dtype))


def image(call: Call) -> Work:
    """Columns added into an image (col2im)."""
    source, size, kernel = tensor(call, 0), integers(call, 1), integers(call, 2) * 2
    channels = source.shape[-2] // math.prod(kernel[:2])
    batch = math.prod(source.shape[:-2])
    target = TensorSpec((batch * channels, *size), source.dtype)
    return copy((source,), target) + Work(vector_flops=source.numel)


FUNCTIONS = {
    same: (
        "clone flip roll rot90 tril tril_ triu triu_ pixel_shuffle pixel_unshuffle channel_shuffle"
        " _pin_memory view_copy _lazy_clone lift_fresh_copy alias_copy detach_copy permute_copy"
        " t_copy transpose_copy squeeze_copy unsqueeze_copy view_as_complex_copy view_as_real_copy"
        " _pack_padded_sequence"
    ),
    converted: "_to_copy",
    copied: "copy_ copy _copy_from",
    copied_list: "_foreach_copy _foreach_copy_",
    cloned_list: "_foreach_clone _nested_tensor_from_tensor_list",
    made_sparse: ("_to_sparse _to_sparse_csr _to_sparse_csc _to_sparse_bsr _to_sparse_bsc"),
    of_nested: "to_padded_tensor",
    zeroed_list: "_foreach_zero _foreach_zero_",
    joined: "cat stack _stack",
    chunked: "_chunk_cat",
    block_diagonal: "block_diag",
    repeated: "repeat",
    repeat_interleaved: "repeat_interleave",
    padded: (
        "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d"
        " replication_pad2d replication_pad3d"
    ),
    padded_backward: (
        "reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward"
        " replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward"
    ),
    embedded: "slice_backward select_backward diagonal_backward",
    unfolded_backward: "unfold_backward",
    replaced: "slice_scatter select_scatter diagonal_scatter as_strided_scatter",
    diagonal_matrices: "diag_embed",
    split_copies: "split_with_sizes_copy split_copy unbind_copy",
    columns: "im2col",
    image: "col2im",
    read_scalar: "_local_scalar_dense",
}
"""Names by the function that counts them."""

formula(*(f"aten::{name}" for name in sorted(NOTHING)))(nothing)
for _function, _names in FUNCTIONS.items():
    formula(*(f"aten::{name}" for name in _names.split()))(_function)
