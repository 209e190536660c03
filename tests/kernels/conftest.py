"""What tests of the kernels share."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

_DEVICES = {
    "cuda": ("NVIDIA H100 80GB HBM3", "gpu"),
    "rocm": ("gfx942", "gpu"),
    "tpu": ("TPU v5 lite", "tpu"),
}


@pytest.fixture
def lowering_for() -> Callable[[str], AbstractContextManager[None]]:
    """Makes jax lower for a device that is not here: since 0.11 Pallas asks which one it is."""
    from jax._src.mesh import AbstractDevice
    from jax.sharding import AbstractMesh, use_abstract_mesh

    def context(platform: str) -> AbstractContextManager[None]:
        name, kind = _DEVICES[platform]
        device = AbstractDevice(name, 1, kind)
        return use_abstract_mesh(AbstractMesh((), (), abstract_device=device))

    return context
