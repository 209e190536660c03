"""JAX programs, each with its inputs and the FLOPs of its products, derived by hand."""

from collections.abc import Callable
from typing import Any

Case = tuple[Callable[..., Any], tuple[Any, ...], int]


def mlp() -> Case:
    import jax
    from jax import ShapeDtypeStruct as Shape

    inputs = (Shape((32, 64), "float32"), Shape((64, 128), "float32"), Shape((128, 10), "float32"))
    return lambda x, up, down: jax.nn.relu(x @ up) @ down, inputs, 2 * 32 * (64 * 128 + 128 * 10)


def convolution() -> Case:
    """Return a convolution with as many outputs as inputs, so with padding, and its gradients."""
    import jax
    import jax.numpy as jnp
    from jax import ShapeDtypeStruct as Shape

    def loss(both: tuple[Any, Any]) -> Any:
        numbers = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(*both, (1, 1), "SAME", dimension_numbers=numbers)
        return jnp.square(x).mean()

    inputs = (Shape((2, 16, 16, 3), "float32"), Shape((3, 3, 3, 8), "float32"))
    return jax.value_and_grad(loss), (inputs,), 3 * 2 * 2 * 16 * 16 * 9 * 3 * 8


def experts() -> Case:
    """Return the ragged product of a mixture of experts."""
    import jax
    from jax import ShapeDtypeStruct as Shape

    inputs = (Shape((32, 64), "float32"), Shape((3, 64, 48), "float32"), Shape((3,), "int32"))
    return jax.lax.ragged_dot, inputs, 2 * 32 * 64 * 48


def kernel() -> Case:
    """Return a product by a Pallas kernel over a grid."""
    import jax
    from jax import ShapeDtypeStruct as Shape
    from jax.experimental import pallas as pl

    def product(left: Any, right: Any, out: Any) -> None:
        out[...] = left[...] @ right[...]

    call = pl.pallas_call(
        product,
        grid=(4, 2),
        in_specs=[
            pl.BlockSpec((8, 64), lambda i, _: (i, 0)),
            pl.BlockSpec((64, 16), lambda _, j: (0, j)),
        ],
        out_specs=pl.BlockSpec((8, 16), lambda i, j: (i, j)),
        out_shape=jax.ShapeDtypeStruct((32, 32), "float32"),
        interpret=True,
    )
    return call, (Shape((32, 64), "float32"), Shape((64, 32), "float32")), 2 * 32 * 64 * 32


def deep_gpt() -> Case:
    """Return a training step of 32 scanned layers."""
    from models.jax_gpt import deep_train_step

    batch, tokens, width, layers, vocabulary = 16, 128, 128, 32, 1536
    layer = 2 * 12 * width * width + 2 * 2 * tokens * width
    forward = batch * tokens * (layers * layer + 2 * width * vocabulary)
    step, inputs = deep_train_step(batch, tokens)
    return step, inputs, 3 * forward


MODELS = {
    "jax mlp": mlp,
    "jax convolution": convolution,
    "jax experts": experts,
    "jax kernel": kernel,
    "jax deep gpt": deep_gpt,
}
