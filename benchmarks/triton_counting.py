"""How long it takes to count a large matrix product and a long attention written in Triton.

Prints the seconds of each, whole (Triton's front end and the count) and of the count alone, with
what was counted beside the closed form. The kernels are those that tests hold against Triton's
interpreter. Launches nothing, so that it needs no GPU:

    python benchmarks/triton_counting.py
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from goodput.frontends.triton_kernels import launched, ttir_of
from goodput.readers.ttir import count_kernel, parse

KERNELS = Path(__file__).parents[1] / "tests/profiler/frontends/counted_triton_kernels.py"
SIZE, TILE = 4096, 64
TOKENS, HEADS, WIDTH = 8192, 32, 64
PRODUCT_SECONDS, ATTENTION_SECONDS = 1.0, 2.0


def tested_kernels() -> Any:
    """The module of the kernels that tests count."""
    spec = importlib.util.spec_from_file_location(KERNELS.stem, KERNELS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds of a call and its result."""
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def show(
    name: str, launch: tuple[Any, Sequence[Any], dict[str, int], tuple[int, ...]], useful: int,
    allowed: float,
) -> None:  # fmt: skip
    """Counts a launch twice, whole and from its text alone, and prints both times."""
    kernel, inputs, constants, grid = launch
    whole, found = timed(lambda: launched(kernel, inputs, constants, grid))
    text, values = ttir_of(kernel, inputs, constants, grid)
    alone, again = timed(lambda: count_kernel(parse(text), grid, values))
    count = found.count
    print(
        f"{name}: {whole:.2f} s whole, {alone:.2f} s the count alone (allowed: {allowed:g} s)\n"
        f"    {count.useful_flops:,} useful FLOP ({useful:,} by formula), {count.issued_flops:,} "
        f"issued, {count.read_bytes:,} bytes read at least; "
        f"{'the same again' if again == count else 'NOT the same again'}"
    )


def hollow(elements: int) -> torch.Tensor:
    """Numbers of 16 bits without memory."""
    return torch.empty(elements, dtype=torch.float16, device="meta")


def main() -> None:
    """Count both."""
    kernels = tested_kernels()
    # What is made ready once is made ready for another kernel.
    launched(kernels.softmax, (hollow(64), hollow(64), 1, 64), {"block": 64}, (1,))
    square = [hollow(SIZE * SIZE) for _ in range(3)]
    tiles = {"rows": TILE, "columns": TILE, "depth": TILE // 2}
    grid = (SIZE // TILE, SIZE // TILE)
    numbers = (SIZE,) * 6  # sizes, then strides
    launch = kernels.masked_product, (*square, *numbers), tiles, grid
    show(f"product of {SIZE} cubed", launch, 2 * SIZE**3, PRODUCT_SECONDS)
    rows = [hollow(HEADS * TOKENS * WIDTH) for _ in range(4)]
    blocks = {"block_m": TILE, "block_n": TILE, "width": WIDTH}
    launch = kernels.attention, (*rows, TOKENS, 0.18), blocks, (TOKENS // TILE, HEADS)
    useful = 4 * WIDTH * HEADS * TOKENS * (TOKENS + 1) // 2
    show(
        f"causal attention of {TOKENS} tokens and {HEADS} heads", launch, useful, ATTENTION_SECONDS
    )


if __name__ == "__main__":
    main()
