"""A trace of attention that torch took apart: causal pairs are exact, forward and backward."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402

from goodput.formulas.attention import causal_pairs  # noqa: E402
from goodput.readers.kineto import read  # noqa: E402
from goodput.trace.table import Phase  # noqa: E402

BATCH, HEADS, WIDTH = 2, 3, 8


def products_of(tmp_path, queries, keys, **options):
    """The rows of batched products in the trace of one attention, forward and backward."""
    q = torch.randn(BATCH, HEADS, queries, WIDTH, requires_grad=True)
    k, v = (torch.randn(BATCH, HEADS, keys, WIDTH, requires_grad=True) for _ in range(2))
    other = torch.randn(2, 4, 4, requires_grad=True)
    path = tmp_path / "trace.json"
    with (
        torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True
        ) as profile,
        sdpa_kernel(SDPBackend.MATH),
    ):
        out = functional.scaled_dot_product_attention(q, k, v, **options)
        (out.sum() + torch.bmm(other, other).sum()).backward()
    profile.export_chrome_trace(str(path))
    trace = read(path)
    table = trace.invocations
    return table.select(table.operator == trace.strings.index("aten::bmm"))


@pytest.mark.parametrize(("queries", "keys"), [(12, 12), (5, 12)])
def test_causal_products_count_their_open_pairs(tmp_path, queries, keys):
    table = products_of(tmp_path, queries, keys, is_causal=True)
    per_pair = 2 * BATCH * HEADS * WIDTH
    open_pairs, pairs = causal_pairs(queries, keys), queries * keys
    other = 2 * 2 * 4 * 4 * 4
    forward = table.select(table.phase == Phase.FORWARD)
    backward = table.select(table.phase == Phase.BACKWARD)
    assert forward.flops.sum() == 2 * per_pair * open_pairs + other
    assert forward.dense_flops.sum() == 2 * per_pair * pairs + other
    assert forward.padding_flops.sum() == 2 * per_pair * (pairs - open_pairs)
    assert backward.flops.sum() == 4 * per_pair * open_pairs + 2 * other


def test_attention_without_a_causal_flag_stays_dense(tmp_path):
    table = products_of(tmp_path, 12, 12)
    assert table.padding_flops.sum() == 0
    mask = torch.ones(12, 12, dtype=torch.bool).tril()
    masked = products_of(tmp_path, 12, 12, attn_mask=mask)
    assert masked.padding_flops.sum() == 0
