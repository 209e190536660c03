"""How the problems of a program are cut to be measured."""

from hypothesis import given
from hypothesis import strategies as st

from goodput.calibration.shapes import cut_contraction, cut_convolution
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution

IMAGE = (8, 6, 10, 12)
SIDE = st.integers(1, 5000)


def plain(**changes):
    fields = {
        "mode": "float32",
        "image": IMAGE,
        "weight": (4, 3, 3, 5),
        "stride": (2, 1),
        "padding": (1, 0),
        "dilation": (1, 2),
        "output_padding": (0, 0),
        "groups": 2,
    }
    return Convolution(**{**fields, **changes})


@given(st.integers(1, 64), SIDE, SIDE, SIDE, st.floats(2, 1e12))
def test_a_cut_contraction_fits_and_never_grows(batch, m, n, k, most):
    whole = Contraction(batch, m, n, k, "float32")
    cut = cut_contraction(whole, most)
    assert cut.flops <= max(most, 2)
    assert all(getattr(cut, side) <= getattr(whole, side) for side in ("batch", "m", "n", "k"))
    if whole.flops <= most:
        assert cut == whole
    else:
        # One halving of the batch or of one side at a time: at most about half is given away.
        assert cut.flops * 4 > most or cut.flops == 2


def test_a_batch_is_cut_before_the_sides():
    cut = cut_contraction(Contraction(64, 100, 100, 100, "float32"), 8e6)
    assert cut == Contraction(4, 100, 100, 100, "float32")


def test_a_cut_convolution_keeps_whole_images():
    whole = plain()
    one = plain(image=(1, *IMAGE[1:])).flops
    assert cut_convolution(whole, 10 * whole.flops) == whole
    assert cut_convolution(whole, 2.5 * one).image == (2, *IMAGE[1:])
    assert cut_convolution(whole, 0.9 * one) is None
