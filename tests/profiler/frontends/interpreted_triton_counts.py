"""What Triton's interpreter does in each launch, operation by operation, as JSON on stdout.

The oracle of test_ttir_oracle.py, which runs it in a process of its own: the interpreter has to be
chosen before Triton is imported. By hand: TRITON_INTERPRET=1 python THIS_FILE
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter

sys.path.insert(0, str(Path(__file__).parent))
from counted_triton_kernels import (  # its own folder is no package
    LAUNCHES,
    MEASURED,
    scaled_product,
)

BUILDER = interpreter.InterpreterBuilder
FLOPS = ("add", "sub", "mul", "div", "rem", "neg", "abs")
ROUNDED = ("fabs", "floor", "ceil", "precise_divf", "approx_divf")
LIMITS = ("minimumf", "minnumf", "maximumf", "maxnumf")
SPECIAL = ("exp", "exp2", "log", "log2", "sin", "cos", "erf", "sqrt", "rsqrt", "precise_sqrt")


class Watch:
    """Wraps the interpreter's operations in ones that count."""

    def __init__(self):
        self.counts = Counter()
        self.touched = {"read": set(), "written": set()}
        for name in (*(f"f{op}" for op in FLOPS), *ROUNDED, *LIMITS):
            self._arithmetic(f"create_{name}", "vector", 1)
        self._arithmetic("create_fma", "vector", 2)
        for name in SPECIAL:
            self._arithmetic(f"create_{name}", "special", 1)
        self._replace("create_dot", self._dot)
        self._replace("create_masked_load", self._load)
        self._replace("create_masked_store", self._store)
        self._replace("create_atomic_rmw", self._atomic)
        self._replace("create_atomic_cas", self._swap)
        if hasattr(BUILDER, "create_dot_scaled"):  # Triton 3.7 lacks it
            self._replace("create_dot_scaled", self._dot_scaled)
        self._reductions(interpreter.ReduceOps)
        self._reductions(interpreter.ScanOps)

    def _replace(self, name, counted):
        original = getattr(BUILDER, name)

        def replaced(builder, *args, **kwargs):
            counted(*args)
            return original(builder, *args, **kwargs)

        setattr(BUILDER, name, replaced)

    def _arithmetic(self, name, kind, each):
        if not hasattr(BUILDER, name):
            return

        def counted(*operands):
            sizes = np.broadcast_shapes(*(np.shape(o.data) for o in operands))
            if operands[-1].dtype.scalar.is_floating():
                self.counts[kind] += each * int(np.prod(sizes, dtype=np.int64))

        self._replace(name, counted)

    def _dot(self, a, b, *_):
        self.counts["dot"] += 2 * a.data.shape[0] * a.data.shape[1] * b.data.shape[1]

    def _dot_scaled(self, a, _scale, a_kind, *rest):
        total = rest[-1].data.shape
        packed = 2 if "E2M1" in str(a_kind) else 1
        self.counts["dot"] += 2 * total[0] * total[1] * a.data.shape[1] * packed

    def _note(self, kind, pointers, mask, item, *sides):
        pointers, mask = np.broadcast_arrays(pointers.data, mask.data)
        self.counts[kind] += item * int(mask.sum())
        for side in sides:
            for byte in range(item):
                self.touched[side].update((pointers[mask] + byte).ravel().tolist())

    def _load(self, pointers, mask, *_):
        item = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
        self._note("loaded", pointers, mask, item, "read")

    def _store(self, pointers, _, mask, *__):
        item = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
        self._note("stored", pointers, mask, item, "written")

    def _atomic(self, _, pointers, __, mask, *___):
        item = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
        self._note("atomic", pointers, mask, item, "read", "written")

    def _swap(self, pointers, *_):
        open_ = interpreter.TensorHandle(np.ones(pointers.data.shape, bool), tl.int1)
        self._atomic(None, pointers, None, open_)

    def _reductions(self, kind):
        original = kind.apply_impl

        def counted(operation, inputs):
            known = (tl.standard._sum_combine, tl.standard._elementwise_max)
            value = inputs[0]
            if operation.combine_fn in known and value.dtype.is_floating():
                shape = value.handle.data.shape
                axis = operation.axis if operation.axis is not None else 0
                steps = int(np.prod(shape)) // shape[axis] * (shape[axis] - 1)
                self.counts["vector"] += steps
            return original(operation, inputs)

        kind.apply_impl = counted


def main():
    watch = Watch()
    found = {}
    for name, launch in (LAUNCHES | MEASURED).items():
        if launch.kernel is scaled_product and not hasattr(BUILDER, "create_dot_scaled"):
            continue
        watch.counts.clear()
        watch.touched = {"read": set(), "written": set()}
        tensors = [
            torch.ones(elements, dtype=getattr(torch, dtype))
            for dtype, elements in launch.tensors.values()
        ]
        arguments = (*tensors, *launch.numbers.values())
        launch.kernel[launch.grid](*arguments, **launch.constants)
        touched = {side: len(places) for side, places in watch.touched.items()}
        found[name] = dict(watch.counts) | touched
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
