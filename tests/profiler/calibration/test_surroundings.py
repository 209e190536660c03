"""What a measurement depended on besides the device."""

from goodput.calibration.surroundings import surroundings
from goodput.calibration.ways import Target
from goodput.frontends.host_device import cores_in_use
from goodput.frontends.nvidia_clocks import Reading
from goodput_kernels.candidate import Candidate

RIVALS = [Candidate(name, name, "flops", 1, lambda: None) for name in ("torch", "NumPy", "torch")]


def test_a_cpu_tells_threads_cores_and_backends():
    found = surroundings(Target("cpu", "cpu", 2, 0), {"torch": "2.13"}, RIVALS)
    assert found.threads == cores_in_use() >= 1
    assert len(found.affinity) >= found.threads
    assert found.affinity == tuple(sorted(found.affinity))
    assert found.backends == ("NumPy", "torch")
    assert found.software == {"torch": "2.13"}
    assert (found.driver, found.power_limit_watts, found.max_clock_hz) == ("", None, None)
    assert found.others == ()


def test_a_device_tells_driver_limits_and_others():
    def reading(moment, driver):
        return Reading(moment, 1.5e9, 1.98e9, 600.0, 700.0, 50.0, 0, driver)

    readings = (reading(0.0, "old"), reading(1.0, "580.1"))
    found = surroundings(Target("cuda", "cuda", 1, 0), {}, RIVALS, readings, ("python train.py",))
    assert found.threads == 0
    assert (found.driver, found.power_limit_watts, found.max_clock_hz) == ("580.1", 700.0, 1.98e9)
    assert found.others == ("python train.py",)
