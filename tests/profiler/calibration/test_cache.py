"""Profiles on disk: where, which, whole or not at all, and one measuring process a host."""

import fcntl
from pathlib import Path

import pytest

from goodput.calibration import cache
from goodput.calibration.cache import Profile
from goodput.calibration.questions import Source
from goodput.capacity.profile import Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import SchemaVersionError, UsageError
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution

DEVICE = DeviceIdentity("cpu", "Some CPU (R), 2 cores", units=2)
PRODUCT = Contraction(1, 2, 3, 4, "float32")
CONVOLUTION = Convolution("float32", (1, 4, 8, 8), (4, 4, 3, 3), (1, 1), (1, 1), (1, 1))
PROFILE = Profile(
    Capacity(DEVICE, {"float32": Peak(1e9, Provenance("measured", "torch mm", samples=(1e9,)))}),
    (PRODUCT,),
    (CONVOLUTION,),
    {"float32": Source(product=PRODUCT), "tf32": Source(convolution=CONVOLUTION)},
    12.5,
)


class FakeClock:
    """Time that passes only in sleep."""

    time = 0.0

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"GOODPUT_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/goodput")),
        ({"GOODPUT_CACHE": "", "XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "goodput"),
    ],
)
def test_the_directory(environment, expected):
    assert cache.directory(environment) == expected


def test_a_user_without_a_home(monkeypatch):
    def home():
        raise RuntimeError

    monkeypatch.setattr(Path, "home", home)
    assert "goodput-" in cache.directory({}).name


def test_the_file_depends_on_device_and_versions(tmp_path):
    def name(device=DEVICE, **software):
        return cache.path_of(device, software, tmp_path).name

    assert name(torch="2") == name(torch="2")
    assert name(torch="2").startswith("some-cpu-r-2-cores-")
    others = [
        name(torch="3"),
        name(DeviceIdentity("cpu", "Some CPU (R), 4 cores", units=4), torch="2"),
        name(DeviceIdentity("cuda", DEVICE.name, units=2), torch="2"),
    ]
    assert len({name(torch="2"), *others}) == 4


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "profile.json"
    cache.write(path, PROFILE)
    assert cache.read(path) == PROFILE
    assert list(path.parent.iterdir()) == [path]


def test_no_file_is_no_profile(tmp_path):
    assert cache.read(tmp_path / "none.json") is None


@pytest.mark.parametrize("content", [b"", b'{"schema": "goodput.profile/1"', b"[1]", b"\x80"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, content):
    path = tmp_path / "profile.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"profile\.json is damaged"):
        cache.read(path)


def test_a_newer_file_is_told(tmp_path):
    path = tmp_path / "profile.json"
    cache.write(path, PROFILE)
    path.write_bytes(path.read_bytes().replace(b"goodput.profile/1", b"goodput.profile/9"))
    with pytest.raises(SchemaVersionError):
        cache.read(path)


def test_a_failed_write_leaves_the_old_profile_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "profile.json"
    cache.write(path, PROFILE)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        cache.write(path, Profile(Capacity(DEVICE)))
    assert cache.read(path) == PROFILE
    assert list(tmp_path.iterdir()) == [path]


def test_the_lock_is_taken_and_given_back(tmp_path):
    for _ in range(2):
        with cache.host_lock(tmp_path / "new", FakeClock(), 0.0) as why:
            assert why == ""


def test_a_second_process_waits_and_gives_up(tmp_path):
    with cache.host_lock(tmp_path, FakeClock(), 0.0) as first:
        assert first == ""
        clock = FakeClock()
        with cache.host_lock(tmp_path, clock, 30.0) as second:
            assert second == "another process has been measuring for 30 s"
            assert clock.time == pytest.approx(30.0, abs=0.2)


def test_a_second_process_goes_on_when_the_first_is_done(tmp_path, monkeypatch):
    attempts = []
    real = fcntl.flock

    def flock(descriptor, how):
        attempts.append(how)
        if len(attempts) < 4:
            raise BlockingIOError
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with cache.host_lock(tmp_path, FakeClock(), 30.0) as why:
        assert why == ""
    assert len(attempts) == 4


def test_no_place_for_a_lock_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with cache.host_lock(tmp_path / "file" / "folder", FakeClock(), 30.0) as why:
        assert why.startswith("there is no lock in")
