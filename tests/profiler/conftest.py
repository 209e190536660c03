"""Two measurements of peaks made by hand: an H200's in full, and a small CPU's."""

from dataclasses import replace

import pytest

from goodput.capacity.datasheet import full_row_of, row_of
from goodput.capacity.measurement import Check, Curve, Measurement, Peaks, Surroundings
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity

WHEN = "2026-08-01T12:00:00+00:00"
H200 = DeviceIdentity("cuda", "NVIDIA H200", 132, 150_754_820_096, 62_914_560)
CPU = DeviceIdentity("cpu", "AMD EPYC 9B14, 2 cores", 2, 8_000_000_000, 33_554_432)
CHECKS = (
    Check("correct", passed=True, value=2e-3, detail="relative error, at most 1e-2"),
    Check("ceiling", passed=True, value=0.8, detail="of the rate at the highest clock"),
)


def measured(rate: float, detail: str = "", regime: str = "burst") -> Peak:
    return Peak(rate, Provenance("measured", detail, "", regime, (rate,), WHEN))


def figure(unit: str, subject: str, regime: str, rate: float, **other: object) -> Measurement:
    fields = {
        "quantity": "FLOP",
        "status": "ok",
        "bouts": ((0.99 * rate, rate), (rate, 1.01 * rate)),
        "spread": 0.012,
        "checks": CHECKS,
        "measured_at": WHEN,
    }
    return Measurement(unit, subject, regime, rate, **{**fields, **other})


def missing(unit: str, subject: str, detail: str) -> Measurement:
    return Measurement(unit, subject, "burst", None, "FLOP", "unsupported", detail=detail)


def memory(
    rates: dict[str, tuple[float, ...]], sizes: tuple[int, ...], regime: str = "burst"
) -> tuple[Measurement, ...]:
    return tuple(
        figure("memory", mix, regime, rate, quantity="B", size=size, kernel=f"{mix} kernel")
        for mix, own in rates.items()
        for rate, size in zip(own, sizes, strict=True)
    )


def curves(
    rates: dict[str, tuple[float, ...]], sizes: tuple[int, ...]
) -> dict[str, tuple[BandwidthPoint, ...]]:
    return {
        mix: tuple(
            BandwidthPoint(size, measured(rate)) for size, rate in zip(sizes, own, strict=True)
        )
        for mix, own in rates.items()
    }


GPU_SIZES = (262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864, 268_435_456, 4_294_967_296)
GPU_MEMORY = {
    "read": (1.1e12, 4.2e12, 9.9e12, 9.4e12, 5.3e12, 4.5e12, 4.46e12),
    "copy": (0.9e12, 3.1e12, 7.2e12, 6.6e12, 4.4e12, 4.1e12, 4.05e12),
    "write": (0.8e12, 2.9e12, 5.6e12, 5.2e12, 4.5e12, 4.4e12, 4.38e12),
}
GPU_RATES = {
    "float64": (58.9e12, 51e12, (4096, 4096, 4096)),
    "float32": (47.3e12, 45e12, (4096, 4096, 4096)),
    "tf32": (426e12, 371e12, (2816, 3072, 8192)),
    "bfloat16": (861e12, 717e12, (2816, 3072, 12288)),
    "float16": (858e12, 721e12, (2816, 3072, 12288)),
    "float8_e4m3": (1.534e15, 1.3e15, (2304, 65536, 8192)),
}


def gpu_measurements() -> tuple[Measurement, ...]:
    products = [
        figure(
            "matmul",
            mode,
            regime,
            rate,
            shape=shape,
            kernel="cuBLAS nvjet_tst",
            clock_hz=1.98e9 if regime == "burst" else 1.62e9,
        )
        for mode, (burst, sustained, shape) in GPU_RATES.items()
        for regime, rate in (("burst", burst), ("sustained", sustained))
    ]
    throttled = replace(products[-1], status="throttled")
    return (
        *products[:-1],
        throttled,
        missing("matmul", "nvfp4", "the device has no units for it"),
        replace(
            figure("matmul", "int8", "burst", 3.1e15, kernel="Triton persistent"),
            checks=(
                Check("ceiling", passed=False, value=1.45, detail="145 % of the highest clock's"),
            ),
        ),
        figure("attention", "bfloat16 forward", "burst", 705e12, kernel="flash, head 128, causal"),
        figure("vector", "float32", "burst", 60.1e12, kernel="Triton FMA chain"),
        figure("special", "exp", "burst", 3.9e12, quantity="calls", kernel="Triton exp2 chain"),
        *memory(GPU_MEMORY, GPU_SIZES),
        figure("irregular", "gather 64 B", "burst", 1.9e12, quantity="B", size=268_435_456),
        figure("latency", "stream", "", 4e5, quantity="calls", kernel="empty Triton kernel"),
        figure("latency", "graph", "", 7.35e5, quantity="calls", status="noisy"),
        figure("link", "host to device", "burst", 52e9, quantity="B", size=1_073_741_824),
        figure("collective", "all-reduce, 8", "burst", 478e9, quantity="B", size=1 << 33),
    )


@pytest.fixture
def gpu_peaks() -> Peaks:
    row = full_row_of(H200.name)
    ceilings = {mode: row.ceiling_flops_per_s(mode) for mode in row.flops_per_clock}
    return Peaks(
        H200,
        Capacity(
            H200,
            {mode: measured(burst) for mode, (burst, _, _) in GPU_RATES.items()},
            {mode: measured(own, regime="sustained") for mode, (_, own, _) in GPU_RATES.items()},
            vector=measured(60.1e12),
            special=measured(3.9e12),
            bandwidth=curves(GPU_MEMORY, GPU_SIZES),
            floor_seconds=1.36e-6,
            datasheet=row_of(H200.name),
            measured_at=WHEN,
        ),
        "full",
        gpu_measurements(),
        (
            Curve("link", "host to device", 8.1e-6, 52.4e9, 0.04),
            Curve("collective", "all-reduce, 8", 23e-6, 480e9, 0.11),
        ),
        ceilings,
        {"bfloat16": 1.13},
        Surroundings(
            threads=16,
            affinity=tuple(range(16)),
            backends=("torch", "Triton"),
            software={"torch": "2.13.0+cu130", "triton": "3.7.0"},
            driver="580.82",
            power_limit_watts=700.0,
            max_clock_hz=1.98e9,
        ),
        seed=20,
        seconds=288.4,
        measured_at=WHEN,
        warnings=("float8_e4m3 sustained ran 18 % below the highest clock",),
    )


CPU_SIZES = (32_768, 1_048_576, 16_777_216, 134_217_728)
CPU_MEMORY = {
    "read": (190e9, 120e9, 60e9, 21.3e9),
    "copy": (150e9, 84e9, 47e9, 17.2e9),
}


@pytest.fixture
def cpu_peaks() -> Peaks:
    """A contended CPU that tells no clock, without a datasheet row, cut off before the end."""
    own = {"float32": (212e9, "oneDNN linear"), "bfloat16": (427e9, "oneDNN linear")}
    return Peaks(
        CPU,
        Capacity(
            CPU,
            {mode: measured(rate) for mode, (rate, _) in own.items()},
            bandwidth=curves(CPU_MEMORY, CPU_SIZES),
            measured_at=WHEN,
        ),
        "quick",
        (
            *(
                figure("matmul", mode, "burst", rate, kernel=kernel, shape=(2048, 2048, 2048))
                for mode, (rate, kernel) in own.items()
            ),
            missing("matmul", "float16", "reference code below 1 GFLOP/s"),
            *memory(CPU_MEMORY, CPU_SIZES),
            figure("latency", "call", "", 2.5e6, quantity="calls", status="contended"),
        ),
        surroundings=Surroundings(2, (0, 1), ("torch", "oneDNN", "NumPy"), {"torch": "2.13.0"}),
        seed=7,
        seconds=19.8,
        measured_at=WHEN,
        partial="interrupted before the sustained rates",
    )
