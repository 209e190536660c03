"""Where an operator call stands: in which phase of a step, and in which module. Counts nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch

from goodput.frontends.torch_private import (
    NO_TASK,
    backward_task,
    last_sequence,
    node_sequence,
)
from goodput.trace.table import Phase


class Places:
    """Tells the place of each call; a backward call's module is that of its forward one.

    Args:
        module: the innermost module that runs in this thread; None outside every module.
        optimizing_task: while an optimizer steps, the backward pass it steps in (-1: in none).
    """

    def __init__(
        self, module: Callable[[], str | None], optimizing_task: Callable[[], int | None]
    ) -> None:
        self._module = module
        self._optimizing_task = optimizing_task
        self._module_of_node: dict[int, str] = {}
        self._creates_graph: dict[int, bool] = {}

    def here(self) -> tuple[Phase, str]:
        """The phase and the module of the operator that runs now."""
        task = backward_task()
        module = self._module()
        optimizing = self._optimizing_task() == task and not torch.is_grad_enabled()
        if module is None and optimizing:
            return Phase.OPTIMIZER, ""
        if task == NO_TASK:
            # The autograd node of this operator took the last number given out.
            self._module_of_node[last_sequence()] = module or ""
            return Phase.FORWARD, module or ""
        creates_graph = self._creates_graph.setdefault(task, torch.is_grad_enabled())
        if module is not None or (torch.is_grad_enabled() and not creates_graph):
            return Phase.RECOMPUTE, module or self._module_of_current_node()
        return Phase.BACKWARD, self._module_of_current_node()

    def _module_of_current_node(self) -> str:
        sequence = node_sequence()
        return self._module_of_node.get(sequence, "") if sequence is not None else ""
