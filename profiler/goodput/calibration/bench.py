"""The bench for one device: its stopwatch, its protocol, and the quiet state to measure in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from goodput.calibration.device import framework_of
from goodput.calibration.neighbours import others_seconds
from goodput.calibration.ways import JAX, Target
from goodput.capacity.datasheet import row_of
from goodput.device import DeviceIdentity
from goodput.frontends.host_device import cores_in_use
from goodput.measure.bouts import Bench, Protocol
from goodput.measure.clock import Clock, HostStopwatch, Stopwatch

# A call on a CPU shares its core with whatever else runs there, which can only slow it: the tenth
# percentile is what the CPU does. A device is ours alone, and its median is what it does.
CPU_PROTOCOL = Protocol(share=0.1)
_DEVICE_TRAIN_SECONDS = 2e-3


def target_of(device: DeviceIdentity, framework: str = "") -> Target:
    """`device` as the kernels need it, to be measured by `framework`; else by the one at hand."""
    framework = framework or framework_of(device)
    row = row_of(device.name)
    # torch tells 4 MB for an MI300X, whose Infinity Cache has 256 MB.
    cache = max(device.last_level_cache_bytes, row.last_level_cache_bytes if row else 0)
    on_cpu = device.kind == "cpu"
    return Target(
        device=_framework_name(device, framework),
        kind=device.kind,
        cores=cores_in_use() if on_cpu else 1,
        cache_bytes=cache,
        units=device.units,
        framework=framework,
    )


def _framework_name(device: DeviceIdentity, framework: str) -> str:
    # torch calls an AMD device `cuda` too.
    return device.kind if framework == JAX or device.kind == "cpu" else "cuda"


def protocol_of(target: Target) -> Protocol:
    """The bout protocol for `target`."""
    if target.on_cpu:
        return CPU_PROTOCOL
    return Protocol(train_seconds=_DEVICE_TRAIN_SECONDS, rotate_below_bytes=2 * target.cache_bytes)


@contextmanager
def other_frameworks(target: Target) -> Iterator[None]:
    """JAX in its quiet state beside torch, where a CPU's roofs are measured and JAX is installed.

    To be opened before JAX computes anything: how many threads XLA:CPU has is settled then.
    """
    if not (target.on_cpu and target.by_torch) or find_spec("jax") is None:
        yield
        return
    from goodput.frontends.jax_bench import quiet_jax

    with quiet_jax(cores_in_use()):
        yield


@contextmanager
def open_bench(
    target: Target, clock: Clock, seconds: float, progress: Callable[[str], None] | None
) -> Iterator[Bench]:
    """A bench whose rounds end after `seconds`, with its framework in a quiet state."""
    on_cpu = target.on_cpu
    with _quiet_stopwatch(target, clock) as stopwatch:
        yield Bench(
            clock=clock,
            stopwatch=stopwatch,
            protocol=protocol_of(target),
            deadline=clock.now() + seconds,
            progress=progress or (lambda _: None),
            others=(lambda: others_seconds(clock)) if on_cpu else (lambda: None),
            cores=target.cores,
        )


@contextmanager
def _quiet_stopwatch(target: Target, clock: Clock) -> Iterator[Stopwatch]:
    if not target.by_torch:
        from goodput.frontends.jax_bench import BlockingStopwatch, quiet_jax

        with quiet_jax(cores_in_use()):
            yield HostStopwatch(clock) if target.on_cpu else BlockingStopwatch(clock)
        return
    from goodput.frontends.torch_bench import EventStopwatch, quiet_torch

    with quiet_torch(cores_in_use()):
        yield HostStopwatch(clock) if target.on_cpu else EventStopwatch()
