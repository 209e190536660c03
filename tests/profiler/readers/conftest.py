"""Traces written by hand, event by event, as torch.profiler would have written them."""

import json

import pytest

from goodput.readers.kineto import read

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
