"""A first call, watched: which Triton kernels it launched, and what their tuners chose.

The first process that makes a choice tells it; all later ones are given it, and tune nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from goodput.comparison.wire import Chosen, Resources, Tuned, Wire
from goodput.compiled_kernel import CompiledKernel
from goodput.frontends.compared import kernels_watched


def first_call(
    wire: Wire, place: int, entry: str, given: Sequence[Chosen], call: Callable[[], object]
) -> float:
    """Makes the call, says what it launched and chose, and returns the seconds of its tuning."""
    with kernels_watched(given) as seen:
        call()
    if seen is None:
        return 0.0
    from goodput.frontends.triton_tuned import carried

    for kernel in seen.kernels:
        say_kernel(wire, place, entry, kernel)
    for choice in seen.choices:
        chosen = Chosen(kernel=choice.kernel, key=choice.key, config=choice.config)
        wire.say(
            Tuned(
                nonce=wire.nonce,
                case=place,
                entry=entry,
                choice=chosen,
                seconds=choice.seconds,
                carried=carried(choice),
            )
        )
    return float(sum(choice.seconds for choice in seen.choices))


def say_kernel(wire: Wire, place: int, entry: str, kernel: CompiledKernel) -> None:
    """Says what one Triton kernel of an entry needs, and what a launch does where that is known."""
    wire.say(Resources(nonce=wire.nonce, case=place, entry=entry, **asdict(kernel)))
