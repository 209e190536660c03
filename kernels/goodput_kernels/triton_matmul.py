"""Matrix products `[batch, m, k] x [batch, n, k]^T` in Triton: persistent, one program a unit.

Each program walks over tiles of the result in an order that keeps operands in the L2. Fetched by
pointers, or by tensor descriptors (TMA) where the chip has them. Both operands lie row by row in
k, as the weight of torch.nn.Linear does: the only layout that all matrix units take in 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import triton
import triton.language as tl
from triton import knobs
from triton.tools.tensor_descriptor import TensorDescriptor

from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.operands import RANDOM, ZEROS, random_tensor, stretched
from goodput_kernels.triton_architecture import Architecture, architecture_of, units_of
from goodput_kernels.triton_compile import Source, compiled_call, triton_type
from goodput_kernels.triton_matmul_kernels import descriptor_kernel, pointer_kernel
from goodput_kernels.triton_tiles import GROUP, Tile, tiles
from goodput_kernels.verification import Kernel, product_limit, product_rows, verify

if TYPE_CHECKING:
    import torch

_DESCRIPTOR_ALIGNMENT = 16
"""Bytes that a row of a described tensor must be a multiple of."""

PROGRAMS_COMPILED = 132
"""Programs of a kernel that is compiled without a device: any number gives the same code."""


@dataclass(frozen=True, slots=True)
class Product:
    """One product in one math mode, by one tile.

    Attributes:
        mode: math mode.
        batch: independent products.
        m: rows of each result.
        n: columns of each result.
        k: length of the sums.
        tile: what the result is cut into.
        device: torch's name.
        data: what the operands hold, `random` or `zeros`.
        float8: torch's name of the float8 format of the chip.
    """

    mode: str
    batch: int
    m: int
    n: int
    k: int
    tile: Tile
    device: str
    data: str = RANDOM
    float8: str | None = None

    @property
    def operand_dtype(self) -> torch.dtype:
        """Of both operands."""
        import torch

        named = {"tf32": "float32", "float8_e4m3": self.float8}
        dtype: torch.dtype = getattr(torch, named.get(self.mode) or self.mode)
        return dtype

    @property
    def result_dtype(self) -> torch.dtype:
        """As wide as the vendor library's: int32 of int8, bfloat16 of float8."""
        import torch

        wide = {"int8": torch.int32, "float8_e4m3": torch.bfloat16}
        return wide.get(self.mode, self.operand_dtype)

    @property
    def name(self) -> str:
        """Tile and size, e.g. `pointers-128x64x16-w4-s3 512x512x512 float32`."""
        prefix = f"{self.batch}x" if self.batch > 1 else ""
        suffix = " zeros" if self.data == ZEROS else ""
        size = f"{prefix}{self.m}x{self.n}x{self.k}"
        return f"{self.tile.name(self.mode)} {size} {self.mode}{suffix}"

    @property
    def fits(self) -> bool:
        """Whether the sizes are such that the kernel may run."""
        if not self.tile.descriptors:
            return self.k % self.tile.k(self.mode) == 0
        rows = (self.k * self.operand_dtype.itemsize, self.n * self.result_dtype.itemsize)
        whole = self.m % self.tile.m == 0 and self.n % self.tile.n == 0
        return (self.batch == 1 or whole) and all(r % _DESCRIPTOR_ALIGNMENT == 0 for r in rows)

    @property
    def constants(self) -> dict[str, Any]:
        """The kernel's compile-time arguments but `programs`."""
        tile = self.tile
        shared = {
            "block_m": tile.m,
            "block_n": tile.n,
            "block_k": tile.k(self.mode),
            "group": GROUP,
            "accumulator": tl.int32 if self.mode == "int8" else tl.float32,
            "precision": "tf32" if self.mode == "tf32" else "ieee",
            "promote": tile.promote or None,
            # Triton's interpreter multiplies bfloat16 as if it were integers; widened, it is exact.
            "widen": knobs.runtime.interpret and self.mode == "bfloat16",
        }
        if not tile.descriptors:
            return shared
        return shared | {
            "specialize": tile.specialize,
            "flatten": tile.flatten,
            "halves": tile.halves,
        }


def options(tile: Tile) -> dict[str, Any]:
    """What the compiler is told beside the kernel."""
    instruction = {"matrix_instr_nonkdim": tile.instruction} if tile.instruction else {}
    return {
        "num_warps": tile.warps,
        "num_stages": tile.stages,
        "enable_fp_fusion": True,  # Triton 3.9 warns where it is left unsaid
        **instruction,
    }


def candidates(
    mode: str,
    batch: int,
    m: int,
    n: int,
    k: int,
    device: str = "cuda",
    data: str = RANDOM,
    architecture: Architecture | None = None,
) -> tuple[Candidate, ...]:
    """This product by every tile for the chip; none for a chip or a mode without tiles.

    Args:
        mode: one of `triton_tiles.MODES`.
        batch: independent products.
        m: rows of each result.
        n: columns of each result.
        k: length of the sums.
        device: torch's name; `cpu` in Triton's interpreter alone.
        data: `random`, or `zeros` to see whether power limits the device.
        architecture: the chip, where `device` does not tell it.
    """
    chip = architecture or architecture_of(device)
    if chip is None:
        return ()
    products = (
        Product(mode, batch, m, n, k, tile, device, data, chip.float8) for tile in tiles(mode, chip)
    )
    return tuple(_candidate(product) for product in products if product.fits)


def _candidate(product: Product) -> Candidate:
    batch, m, n, k = product.batch, product.m, product.n, product.k
    operand, result = product.operand_dtype.itemsize, product.result_dtype.itemsize
    return Candidate(
        name=product.name,
        library="Triton",
        unit="flops",
        amount=2 * batch * m * n * k,
        prepare=partial(_prepare, product),
        working_set_bytes=batch * ((m + n) * k * operand + m * n * result),
        verify=partial(_verify, product),
    )


def _operands(product: Product) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    float8 = product.mode == "float8_e4m3"
    # In one draw, so that the factors are independent.
    shape = (product.batch, product.m + product.n, product.k)
    both = random_tensor(shape, "float32" if float8 else product.mode, product.device, product.data)
    if float8:
        both = stretched(both, product.operand_dtype)[0]
    left, right = both[:, : product.m].contiguous(), both[:, product.m :].contiguous()
    result = (product.batch, product.m, product.n)
    return left, right, torch.empty(result, dtype=product.result_dtype, device=product.device)


def _prepare(product: Product) -> Callable[[], object]:
    left, right, result = _operands(product)
    return _launch(product, left, right, result)


def _launch(
    product: Product, left: torch.Tensor, right: torch.Tensor, result: torch.Tensor
) -> Callable[[], object]:
    """The compiled call. Raises RuntimeError where the compiler or the chip refuses."""
    batch, m, n, k, tile = product.batch, product.m, product.n, product.k, product.tile
    count = batch * triton.cdiv(m, tile.m) * triton.cdiv(n, tile.n)
    programs = min(units_of(product.device), count)
    arguments: tuple[Any, ...] = (left, right, result)
    if tile.descriptors:
        arguments = _descriptors(product, left, right, result)
    kernel = descriptor_kernel if tile.descriptors else pointer_kernel

    def call() -> object:
        kernel[(programs,)](
            *arguments,
            batch,
            m,
            n,
            k,
            programs=programs,
            **product.constants,
            **options(tile),
        )
        return result

    return compiled_call(call, tile.name(product.mode))


def _descriptors(
    product: Product, left: torch.Tensor, right: torch.Tensor, result: torch.Tensor
) -> tuple[TensorDescriptor, ...]:
    return tuple(
        TensorDescriptor.from_tensor(tensor.flatten(0, 1), list(block))
        for tensor, block in zip((left, right, result), _blocks(product), strict=True)
    )


def _blocks(product: Product) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the blocks that descriptors of both operands and the result move."""
    tile = product.tile
    k = tile.k(product.mode)
    return ((tile.m, k), (tile.n, k), (tile.m, tile.n // 2 if tile.halves else tile.n))


def _verify(product: Product) -> Verification:
    left, right, result = _operands(product)
    size = (product.batch, product.m, product.n, product.k)

    def expected(rows: torch.Tensor) -> torch.Tensor:
        return product_rows(
            rows.to(left.device),
            size,
            lambda entry, chosen: left[entry][chosen].double(),
            lambda entry, block: right[entry, block].double().T,
        )

    return verify(
        Kernel(
            call=_launch(product, left, right, result),
            rows=product.batch * product.m,
            expected=expected,
            limit=product_limit(product.mode, product.k),
            target=result,
        ),
        f"rows of {product.n} columns",
    )


def source(product: Product) -> Source:
    """The product's kernel as it is compiled, for sizes that are multiples of 16."""
    tile = product.tile
    operand, result = triton_type(product.operand_dtype), triton_type(product.result_dtype)
    kinds = [f"*{operand}", f"*{operand}", f"*{result}"]
    if tile.descriptors:
        blocks = _blocks(product)
        kinds = [
            f"tensordesc<{kind[1:]}[{rows}, {columns}]>"
            for kind, (rows, columns) in zip(kinds, blocks, strict=True)
        ]
    return Source(
        kernel=descriptor_kernel if tile.descriptors else pointer_kernel,
        signature=dict(zip(("left", "right", "result"), kinds, strict=True))
        | dict.fromkeys(("batch", "m", "n", "k"), "i32"),
        constants=product.constants | {"programs": PROGRAMS_COMPILED},
        options=options(tile),
    )
