"""Products with a reduction, in neutral terms: batched matrix products and their epilogue.

Pure integers. A multiply-add is 2 FLOP. Knows no framework and no bytes.
"""

from __future__ import annotations

from goodput.work import Work

COMPLEX_ADD = 2
COMPLEX_MULTIPLY = 6


def is_complex(dtype: str) -> bool:
    """Whether a dtype name is a complex one."""
    return dtype.startswith("complex")


def real_products(*dtypes: str) -> int:
    """Real multiply-adds in one multiply-add of operands of these dtypes: 1, 2 or 4.

    Each complex operand doubles it; a complex multiply-add is then 4 x 2 = 8 FLOP (Golub & Van
    Loan, Matrix Computations, 4th ed., section 1.1.15).
    """
    return 1 << sum(is_complex(dtype) for dtype in dtypes)


def contraction(batch: int, m: int, n: int, k: int, real: int = 1) -> Work:
    """`[batch, m, k] x [batch, k, n]`: 2 batch m n k FLOP, times the real products of each.

    Args:
        batch: independent products.
        m: rows of the left operand.
        n: columns of the right operand.
        k: the summed dimension.
        real: real multiply-adds in each multiply-add, see `real_products`.

    The count is that of the textbook algorithm; a Strassen or Winograd kernel does less.
    """
    flops = 2 * batch * m * n * k * real
    return Work(flops=flops, dense_flops=flops)


def epilogue(elements: int, alpha: complex = 1, beta: complex = 0, dtype: str = "") -> Work:
    """`alpha product + beta addend` on `elements` results: vector arithmetic only.

    One add where `beta` is not 0, one multiply each for `alpha` and `beta` where they are neither
    0 nor 1. Complex results take 2 FLOP an add and 6 a multiply.
    """
    add, multiply = (COMPLEX_ADD, COMPLEX_MULTIPLY) if is_complex(dtype) else (1, 1)
    multiplies = sum(scale not in (0, 1) for scale in (alpha, beta))
    return Work(vector_flops=elements * (add * (beta != 0) + multiply * multiplies))


def trilinear(first: int, second: int) -> Work:
    """A three-operand product summed in two stages, `first` and `second` multiply-adds each."""
    flops = 2 * (first + second)
    return Work(flops=flops, dense_flops=flops)
