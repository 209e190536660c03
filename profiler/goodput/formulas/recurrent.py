"""Recurrent layers in neutral terms: plain RNN, LSTM and GRU, stacked, in one or two directions.

Pure integers. The gates' matrix products are FLOPs; what a cell does after them is vector work and
special functions. Source: the equations of torch.nn.LSTM, GRU and RNN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goodput.work import Work


@dataclass(frozen=True, slots=True)
class Cell:
    """What one hidden unit does in one time step.

    Attributes:
        gates: matrix products into it, from the input and from the hidden state each.
        vector: arithmetic after the products, without the adds that join them.
        special: exponentials (a sigmoid or a tanh is one).
        states: state vectors it carries.
    """

    gates: int
    vector: int
    special: int
    states: int = 1

    @property
    def joins(self) -> int:
        """Adds that join the input's and the hidden state's product to two biases: 3 a gate."""
        return 3 * self.gates


CELLS: Mapping[int, Cell] = {
    0: Cell(gates=1, vector=1, special=0),  # relu: one maximum
    1: Cell(gates=1, vector=0, special=1),  # tanh
    2: Cell(gates=4, vector=4, special=5, states=2),  # c = f c + i g, h = o tanh(c)
    3: Cell(gates=3, vector=4, special=3),  # n = tanh(x + r h), h = n + z (h - n)
}
"""Cells by the number that PyTorch, cuDNN and MIOpen give them."""


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A stack of recurrent layers over `tokens` time steps of all sequences together.

    Attributes:
        tokens: the sum of the sequences' lengths.
        input_size, hidden_size: features.
        cell: what a unit is.
        layers, directions: of the stack; a layer above the first reads all directions' outputs.
        projection: size of the projected hidden state, 0 for none.
    """

    tokens: int
    input_size: int
    hidden_size: int
    cell: Cell
    layers: int = 1
    directions: int = 1
    projection: int = 0

    @property
    def state_size(self) -> int:
        """Features of the hidden state that a step hands on."""
        return self.projection or self.hidden_size

    @property
    def input_weights(self) -> int:
        """Elements of the weights that meet the first layer's input, all directions."""
        return self.directions * self.cell.gates * self.hidden_size * self.input_size

    @property
    def other_weights(self) -> int:
        """Elements of all other weight matrices."""
        gates = self.cell.gates * self.hidden_size
        between = (self.layers - 1) * self.directions * gates * self.directions * self.state_size
        recurrent = self.layers * self.directions * gates * self.state_size
        projections = self.layers * self.directions * self.hidden_size * self.projection
        return between + recurrent + projections

    @property
    def weights(self) -> int:
        """Elements of all weight matrices."""
        return self.input_weights + self.other_weights

    @property
    def units(self) -> int:
        """Hidden units of all layers, directions and time steps."""
        return self.tokens * self.layers * self.directions * self.hidden_size

    @property
    def forward(self) -> Work:
        """The forward pass: every weight once a time step, and the cells."""
        flops = 2 * self.tokens * self.weights
        return Work(
            flops=flops,
            dense_flops=flops,
            vector_flops=self.units * (self.cell.joins + self.cell.vector),
            special=self.units * self.cell.special,
        )

    def backward(
        self, *, of_input: bool = True, of_weights: bool = True, fixed_states: int = 0
    ) -> Work:
        """The backward pass: once the weights for the states, once more for their own gradients.

        `fixed_states` sequences begin with a state whose gradient is not needed. Kernels make it,
        and that of the first layer's input, with the other states' even where they are not needed:
        then they are recomputation. A cell's backward is about twice its forward arithmetic; its
        nonlinearities' derivatives come from saved outputs, without special functions.
        """
        unneeded = 0 if of_input else 2 * self.tokens * self.input_weights
        gates = self.cell.gates * self.hidden_size
        unneeded += 2 * fixed_states * self.layers * self.directions * gates * self.state_size
        flops = 2 * self.tokens * self.weights * (1 + of_weights) - unneeded
        return Work(
            flops=flops,
            dense_flops=flops,
            recompute_flops=unneeded,
            vector_flops=2 * self.units * (self.cell.joins + self.cell.vector),
        )


def fused_cell(units: int, cell: Cell, *, biased: bool = True) -> Work:
    """The cells alone, their matrix products having been made outside: no FLOPs."""
    joins = cell.joins if biased else cell.gates
    return Work(vector_flops=units * (joins + cell.vector), special=units * cell.special)


def fused_cell_backward(units: int, cell: Cell) -> Work:
    """The cells' backward pass alone: about twice the forward arithmetic, no special functions."""
    return Work(vector_flops=2 * units * (cell.joins + cell.vector))
