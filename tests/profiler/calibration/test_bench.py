"""The bench: protocol and target by device, torch in its quiet state and back."""

import pytest

from goodput.calibration.bench import open_bench, protocol_of, target_of
from goodput.device import DeviceIdentity
from goodput.frontends.host_device import cores_in_use
from goodput.measure.clock import HostClock, HostStopwatch

torch = pytest.importorskip("torch", reason="the bench is torch's")


def test_a_cpu_has_all_its_cores():
    target = target_of(DeviceIdentity("cpu", "x", last_level_cache_bytes=123))
    assert (target.device, target.cores, target.cache_bytes) == ("cpu", cores_in_use(), 123)
    assert protocol_of(target).share == 0.1
    assert protocol_of(target).rotate_below_bytes == 0


def test_a_device_takes_its_cache_from_the_datasheet_where_torch_understates_it():
    target = target_of(DeviceIdentity("hip", "AMD Instinct MI300X", last_level_cache_bytes=4 << 20))
    assert (target.device, target.kind, target.cache_bytes) == ("cuda", "hip", 256 << 20)
    protocol = protocol_of(target)
    assert protocol.share == 0.5
    assert protocol.rotate_below_bytes == 512 << 20
    assert protocol.train_seconds == 2e-3


def test_torch_is_quiet_inside_and_as_before_after():
    threads = torch.get_num_threads()
    target = target_of(DeviceIdentity("cpu", "x"))
    torch.set_num_threads(1)
    try:
        clock = HostClock()
        with torch.autocast("cpu"), open_bench(target, clock, 5.0, None) as bench:
            assert torch.get_num_threads() == cores_in_use()
            assert not torch.is_grad_enabled()
            assert not torch.is_autocast_enabled("cpu")
            assert isinstance(bench.stopwatch, HostStopwatch)
            assert 4.0 < bench.deadline - clock.now() <= 5.0
        assert torch.get_num_threads() == 1
        assert torch.is_grad_enabled()
    finally:
        torch.set_num_threads(threads)
