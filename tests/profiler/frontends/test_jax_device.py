"""A JAX device is named as its runtime names it, and nothing is made up."""

from types import SimpleNamespace

import pytest

jax = pytest.importorskip("jax", reason="the front end is jax's")

from goodput.frontends import jax_device  # noqa: E402 - after the skip
from goodput.frontends.host_device import cpu_identity  # noqa: E402


def device(platform, version="", **fields):
    client = SimpleNamespace(platform_version=version)
    stats = fields.pop("stats", None)
    return SimpleNamespace(platform=platform, client=client, memory_stats=lambda: stats, **fields)


def test_the_cpu_is_the_same_device_as_for_everyone_else():
    assert jax_device.identity("cpu") == cpu_identity()
    assert jax_device.identity_of(jax.devices("cpu")[0]) == cpu_identity()


def test_a_gpu_has_its_exact_name_and_its_multiprocessors():
    found = jax_device.identity_of(
        device(
            "gpu",
            "PJRT C API\ncuda 12090",
            device_kind="NVIDIA H200",
            core_count=132,
            stats={"bytes_limit": 10**11},
        )
    )
    assert (found.kind, found.name, found.units) == ("cuda", "NVIDIA H200", 132)
    assert found.memory_bytes == 10**11


@pytest.mark.parametrize(("platform", "version"), [("gpu", "PJRT C API\nrocm 60300"), ("rocm", "")])
def test_rocm_is_hip(platform, version):
    assert jax_device.kind_of(device(platform, version)) == "hip"


def test_what_a_tpu_does_not_tell_is_zero():
    found = jax_device.identity_of(device("tpu", device_kind="TPU v5 lite"))
    assert (found.kind, found.name) == ("tpu", "TPU v5 lite")
    assert (found.units, found.memory_bytes) == (0, 0)


def test_an_unknown_platform_keeps_its_name():
    assert jax_device.kind_of(device("METAL")) == "METAL"


def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(RuntimeError, match="tpu"):
        jax_device.identity("tpu")


def test_the_environment_has_versions_and_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_some_flag")
    monkeypatch.delenv("LIBTPU_INIT_ARGS", raising=False)
    found = jax_device.environment()
    assert found["jax"] == jax.__version__
    assert found["xla_flags"] == "--xla_some_flag"
    assert "libtpu_init_args" not in found
    assert found["runtime"]
