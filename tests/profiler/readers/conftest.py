"""Traces written by hand, event by event, as torch.profiler would have written them."""

import json

import jax
import pytest

from goodput.readers.hlo import program_of
from goodput.readers.kineto import read
from goodput.readers.xspace import message_classes, module_message

PROCESS = 100
ENGINE = "autograd::engine::evaluate_function: "


class Written:
    """A trace being written; times are in microseconds."""

    def __init__(self, folder):
        self.folder = folder
        self.events = []
        self.head = {
            "schemaVersion": 1,
            "deviceProperties": [
                {"id": 0, "name": "NVIDIA Test", "totalGlobalMem": 1000, "numSms": 7},
                {"id": 1, "name": "NVIDIA Other", "totalGlobalMem": 2000, "numSms": 8},
            ],
        }
        self._external = 0

    def host(self, name, start, end, thread=1, category="cpu_op", **args):
        self._external += 1
        self.events.append(
            {
                "ph": "X",
                "cat": category,
                "name": name,
                "pid": PROCESS,
                "tid": thread,
                "ts": start,
                "dur": end - start,
                "args": {"External id": self._external, **args},
            }
        )
        return self._external

    def op(self, name, start, end, shapes=(), thread=1, types=None, concrete=None, **args):
        """An operator on tensors of the given shapes, float32 unless `types` says otherwise."""
        inputs = {
            "Input Dims": [list(shape) for shape in shapes],
            "Input type": types or ["float"] * len(shapes),
            "Concrete Inputs": concrete or [""] * len(shapes),
        }
        return self.host(name, start, end, thread, **inputs, **args)

    def annotation(self, name, start, end, thread=1):
        return self.host(name, start, end, thread, "user_annotation")

    def module(self, fqn, start, end, thread=1):
        return self.host("goodput::module", start, end, thread, fqn=fqn)

    def engine(self, node, start, end, sequence, forward_thread=1, thread=1):
        args = {"Sequence number": sequence, "Fwd thread id": forward_thread}
        return self.host(ENGINE + node, start, end, thread, **args)

    def frame(self, name, start, end, thread=1):
        return self.host(name, start, end, thread, "python_function")

    def launch(self, correlation, start, thread=1, name="cudaLaunchKernel"):
        return self.host(name, start, start + 1, thread, "cuda_runtime", correlation=correlation)

    def kernel(self, correlation, start, end, name="kernel", category="kernel", device=0, **args):
        self.events.append(
            {
                "ph": "X",
                "cat": category,
                "name": name,
                "pid": device,
                "tid": 7,
                "ts": start,
                "dur": end - start,
                "args": {"device": device, "stream": 7, "correlation": correlation, **args},
            }
        )

    def run(self, correlation, launched, start, end, name="kernel", category="kernel"):
        """A launch and its kernel."""
        self.launch(correlation, launched)
        self.kernel(correlation, start, end, name, category)

    def path(self):
        file = self.folder / "trace.json"
        file.write_text(json.dumps({**self.head, "traceEvents": self.events}))
        return file

    def read(self):
        return Table(read(self.path()))


class Table:
    """A trace with its strings looked up."""

    def __init__(self, trace):
        self.trace = trace
        self.rows = trace.invocations

    def words(self, column):
        return [self.trace.strings[index] for index in getattr(self.rows, column).tolist()]

    def microseconds(self):
        return [round(seconds * 1e6, 3) for seconds in self.rows.device_seconds.tolist()]

    @property
    def operators(self):
        return self.words("operator")


@pytest.fixture
def written(tmp_path):
    return Written(tmp_path)


def _program(function, *inputs):
    """The optimised program that XLA makes of `function`."""
    compiled = jax.jit(function).lower(*inputs).compile()
    (module,) = compiled.runtime_executable().hlo_modules()
    return program_of(module_message(module.as_serialized_hlo_module_proto(), "a module"))


class XSpaceBuilder:
    """An XSpace, plane by plane."""

    def __init__(self):
        self.space = message_classes()["XSpace"]()

    def plane(self, name, **stats):
        """A plane with stats of its own."""
        made = PlaneBuilder(self.space.planes.add(name=name))
        made.set(made.message.stats, stats)
        return made

    def modules(self, **programs):
        """The plane that holds the HLO of compiled functions, by `name=(program id, bytes)`."""
        plane = self.plane("/host:metadata")
        for name, (number, content) in programs.items():
            entry = plane.message.event_metadata.add(key=number)
            entry.value.name = f"{name}({number})"
            hlo = message_classes()["HloProto"]()
            hlo.hlo_module.ParseFromString(content)
            plane.set(entry.value.stats, {"Hlo Proto": hlo.SerializeToString()})

    def write(self, path):
        """The file."""
        path.write_bytes(self.space.SerializeToString())
        return path


class PlaneBuilder:
    """One plane: events by name."""

    def __init__(self, message):
        self.message = message
        self.names, self.stat_names = {}, {}

    def stat(self, name):
        """The number of a stat's name."""
        if name not in self.stat_names:
            number = self.stat_names[name] = len(self.stat_names) + 1
            entry = self.message.stat_metadata.add(key=number)
            entry.value.name = name
        return self.stat_names[name]

    def set(self, stats, values):
        """Adds stats to a repeated field of messages."""
        for name, value in values.items():
            field = {int: "int64_value", float: "double_value", bytes: "bytes_value"}
            made = stats.add(metadata_id=self.stat(name))
            setattr(made, field.get(type(value), "str_value"), value)

    def metadata(self, name, **stats):
        """The number of an event's name, which may have stats and a display name."""
        if name not in self.names:
            number = self.names[name] = len(self.names) + 1
            entry = self.message.event_metadata.add(key=number)
            entry.value.name, entry.value.display_name = name, stats.pop("display", "")
            self.set(entry.value.stats, stats)
        return self.names[name]

    def line(self, name, *events):
        """A line of `(name, start, seconds, stats)`."""
        line = self.message.lines.add(name=name)
        for title, start, seconds, stats in events:
            event = message_classes()["XEvent"](
                metadata_id=self.metadata(title),
                offset_ps=round(start * 1e12),
                duration_ps=round(seconds * 1e12),
            )
            holder = message_classes()["XEventMetadata"]()
            self.set(holder.stats, stats)
            event.stats.extend(stat.SerializeToString() for stat in holder.stats)
            line.events.append(event.SerializeToString())


def _serialized(function, *inputs):
    """The optimised module of `function` as bytes."""
    compiled = jax.jit(function).lower(*inputs).compile()
    (module,) = compiled.runtime_executable().hlo_modules()
    return module.as_serialized_hlo_module_proto()


@pytest.fixture(scope="session")
def program_of_jax():
    """The optimised HLO of a function and its inputs."""
    return _program


@pytest.fixture(scope="session")
def module_of_jax():
    """The same as bytes."""
    return _serialized


@pytest.fixture
def xspace():
    """A profile to be filled."""
    return XSpaceBuilder()
