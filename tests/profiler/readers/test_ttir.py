"""Kernels given as text: what is counted, what is refused by name, and older ways to write it."""

import pytest

from goodput.errors import UsageError
from goodput.readers.ttir import TensorBlock, UncountableError, count_kernel
from goodput.readers.ttir_text import GrammarError, Type, item_bits, parse, type_of

BASE = 1 << 44
HEAD = (
    'tt.func public @kernel(%x: !tt.ptr<f32> {tt.divisibility = 16 : i32} loc("x"(#loc)), %n: i32)'
)


def kernel(*lines, head=HEAD, more=""):
    body = "\n".join(f"    {line} loc(#loc1)" for line in lines)
    return f"""#loc = loc("k.py":1:0)
module {{
  {head} attributes {{noinline = false}} {{
{body}
    tt.return loc(#loc9)
  }} loc(#loc)
{more}
}} loc(#loc)
#loc1 = loc("k.py":2:4)
"""


TILE = (
    "%at = tt.make_range {end = 64 : i32, start = 0 : i32} : tensor<64xi32>",
    "%base = tt.splat %x : !tt.ptr<f32> -> tensor<64x!tt.ptr<f32>>",
    "%places = tt.addptr %base, %at : tensor<64x!tt.ptr<f32>>, tensor<64xi32>",
    "%values = tt.load %places : tensor<64x!tt.ptr<f32>>",
)


def count(*lines, n=10, grid=(3,), **named):
    return count_kernel(kernel(*lines, **named), grid, [BASE, n])


def test_a_tile_that_every_program_loads_is_read_once():
    found = count(*TILE)
    assert found.loaded_bytes == 3 * 256
    assert found.read_bytes == 256


@pytest.mark.parametrize(
    ("line", "vector", "special"),
    [
        ("%y = arith.addf %values, %values : tensor<64xf32>", 64, 0),
        ("%y = math.fma %values, %values, %values : tensor<64xf32>", 128, 0),
        ("%y = math.exp2 %values : tensor<64xf32>", 0, 64),
        ("%y = arith.truncf %values : tensor<64xf32> to tensor<64xf16>", 0, 0),
        ("%y = arith.cmpf olt, %values, %values : tensor<64xf32>", 0, 0),
        ("%y = arith.addi %at, %at : tensor<64xi32>", 0, 0),
        (
            (
                '%y = tt.extern_elementwise %values {libname = "", libpath = "", pure = true, '
                'symbol = "__nv_erff"} : (tensor<64xf32>) -> tensor<64xf32>'
            ),
            0,
            64,
        ),
    ],
)
def test_arithmetic_counts_for_each_element(line, vector, special):
    found = count(*TILE, line)
    assert (found.vector_flops, found.special) == (3 * vector, 3 * special)


def test_an_operation_that_nobody_knows_is_named():
    with pytest.raises(UncountableError, match=r"tt\.unheard_of: no rule") as refused:
        count(*TILE, "%y = tt.unheard_of %values : tensor<64xf32> -> tensor<64xf32>")
    assert refused.value.operation == "tt.unheard_of"


def test_an_operation_that_no_program_reaches_is_no_hindrance():
    lines = (
        "%c0 = arith.constant 0 : i32",
        "%never = arith.cmpi slt, %n, %c0 : i32",
        "scf.if %never {",
        "tt.unheard_of %x : !tt.ptr<f32>",
        "}",
    )
    text = kernel(*lines).replace("{ loc(#loc1)", "{")
    assert count_kernel(text, (3,), [BASE, 10]).loaded_bytes == 0
    with pytest.raises(UncountableError, match="unheard_of"):
        count_kernel(text, (3,), [BASE, -1])


BRANCH = """    %pid = tt.get_program_id x : i32
    %far = arith.cmpi sge, %pid, %n : i32
    cf.cond_br %far, ^bb1, ^bb2
  ^bb1:  // pred: ^bb0
    tt.return
  ^bb2:  // pred: ^bb0
    %one = tt.load %x : !tt.ptr<f32>
"""


def test_programs_that_return_early_do_no_more():
    text = kernel().replace("{noinline = false} {\n", "{noinline = false} {\n" + BRANCH)
    assert count_kernel(text, (5,), [BASE, 3]).loaded_bytes == 3 * 4


def test_a_jump_backward_is_refused():
    back = BRANCH.replace("    tt.return", "    cf.br ^bb0", 1).replace(
        "    %pid", "  ^bb0:\n    %pid", 1
    )
    text = kernel().replace("{noinline = false} {\n", "{noinline = false} {\n" + back)
    with pytest.raises(UncountableError, match=r"cf\.br: it jumps backward"):
        count_kernel(text, (5,), [BASE, 3])


def test_a_function_that_is_not_there_is_refused():
    with pytest.raises(UncountableError, match=r"tt\.call: what it calls is not there"):
        count("%y = tt.call @elsewhere(%n) : (i32) -> i32")


def test_a_loop_that_runs_by_an_unknown_number_is_refused():
    text = kernel(
        "%c0 = arith.constant 0 : i32",
        "%c1 = arith.constant 1 : i32",
        "scf.for %i = %c0 to %n step %c1  : i32 {",
        "%one = tt.load %x : !tt.ptr<f32>",
        "}",
    ).replace("{ loc(#loc1)", "{")
    assert count_kernel(text, (2,), [BASE, 7]).loaded_bytes == 2 * 7 * 4
    assert count_kernel(text, (2,), [BASE, -7]).loaded_bytes == 0
    with pytest.raises(UncountableError, match=r"scf\.for: how often it runs depends on data"):
        count_kernel(text, (2,), [BASE, None])
    with pytest.raises(UncountableError, match="2097152 times"):
        count_kernel(text, (2,), [BASE, 2**21])


@pytest.mark.parametrize(("number", "flops"), [(0.7, 3 * 64), (0.2, 0)])
def test_a_branch_by_a_number_that_was_given_is_taken(number, flops):
    head = "tt.func public @kernel(%x: !tt.ptr<f32>, %p: f32)"
    lines = (
        "%half = arith.constant 5.000000e-01 : f32",
        "%more = arith.cmpf ogt, %p, %half : f32",
        "scf.if %more {",
        *TILE,
        "%y = arith.mulf %values, %values : tensor<64xf32>",
        "}",
    )
    text = kernel(*lines, head=head).replace("{ loc(#loc1)", "{")
    assert count_kernel(text, (3,), [BASE, number]).vector_flops == flops


DESCRIPTORS = {
    "3.6": "%d = tt.make_tensor_descriptor %x, [%n, %n], [%c64, %c1] : <f32>, <tensor<16x32xf32>>",
    "3.8": "%d = tt.make_tensor_descriptor %x, [%n, %n], [%c64, %c1] : !tt.ptr<f32>, "
    "!tt.tensordesc<tensor<16x32xf32>>",
    "3.9": "%d = tt.make_tensor_descriptor %x, [%n, %n], [%c64, %c1] : <f32>, <16x32xf32>",
}


@pytest.mark.parametrize("version", DESCRIPTORS)
def test_descriptors_are_read_as_each_triton_writes_them(version):
    kind = "<16x32xf32>" if version == "3.9" else "<tensor<16x32xf32>>"
    found = count(
        "%c0 = arith.constant 0 : i32",
        "%c1 = arith.constant 1 : i64",
        "%c64 = arith.constant 64 : i64",
        DESCRIPTORS[version],
        f"%t = tt.descriptor_load %d[%c0, %c0] : !tt.tensordesc{kind} -> tensor<16x32xf32>",
        n=20,
        grid=(2,),
    )
    assert found.loaded_bytes == 2 * 16 * 20 * 4
    assert found.read_bytes == 16 * 20 * 4


def test_a_descriptor_of_the_host_brings_its_sizes():
    head = (
        "tt.func public @kernel(%d: !tt.tensordesc<16x32xf16>, %a: i32, %b: i32, %s: i64, %t: i64)"
    )
    text = kernel(
        "%c16 = arith.constant 16 : i32",
        "%v = tt.descriptor_load %d[%c16, %c16] : !tt.tensordesc<16x32xf16> -> tensor<16x32xf16>",
        head=head,
    )
    found = count_kernel(text, (1,), [TensorBlock(BASE, (20, 40), (40, 1))])
    assert found.loaded_bytes == 4 * 24 * 2


@pytest.mark.parametrize("arguments", [[BASE], [BASE, 1, 2]])
def test_arguments_that_are_not_the_kernel_s(arguments):
    text = kernel(*TILE)
    if len(arguments) > 2:
        assert count_kernel(text, (1,), arguments).loaded_bytes == 256
        return
    with pytest.raises(UsageError, match="takes 2 arguments, and 1 were given"):
        count_kernel(text, (1,), arguments)


def test_a_text_that_is_cut_off():
    text = kernel(*TILE)
    with pytest.raises(GrammarError, match="ends inside a function"):
        parse(text[: text.index("%values")])
    with pytest.raises(GrammarError, match="no kernel"):
        parse("module {\n}\n")


def test_types():
    assert type_of("tensor<64x32xf16>") == Type((64, 32), "f16")
    assert type_of("tensor<8x!tt.ptr<bf16>>").pointee == "bf16"
    assert type_of("!tt.ptr<f8E4M3FN, 1>").pointee == "f8E4M3FN"
    assert type_of("tensor<64xf32, #blocked>") == Type((64,), "f32")
    assert [item_bits(kind) for kind in ("f16", "i1", "i64", "f8E5M2", "!tt.ptr<i8>")] == [
        16,
        8,
        64,
        8,
        64,
    ]
    with pytest.raises(GrammarError, match="no known size"):
        item_bits("index")


def test_operations_are_told_apart():
    text = kernel(
        '%r:2 = "tt.reduce"(%a, %b) <{axis = 1 : i32}> ({',
        "^bb0(%p: f32, %q: i32, %s: f32, %t: i32):",
        "%u = arith.addf %p, %s : f32",
        "tt.reduce.return %u, %q : f32, i32",
        "}) : (tensor<4x8xf32>, tensor<4x8xi32>) -> (tensor<4xf32>, tensor<4xi32>)",
    )
    for opening in ("({", "):"):
        text = text.replace(f"{opening} loc(#loc1)", opening)
    module = parse(text)
    (block,) = module.kernel.blocks
    reduction, last = block.operations
    assert module.kernel.arguments == ("%x", "%n")
    assert module.kernel.types == (Type((), "!tt.ptr<f32>"), Type((), "i32"))
    assert reduction.name == "tt.reduce"
    assert reduction.results == ("%r#0", "%r#1")
    assert reduction.operands == ("%a", "%b")
    assert reduction.number("axis") == 1
    assert reduction.takes == (Type((4, 8), "f32"), Type((4, 8), "i32"))
    assert reduction.gives == (Type((4,), "f32"), Type((4,), "i32"))
    ((inner,),) = reduction.regions
    assert inner.arguments == ("%p", "%q", "%s", "%t")
    assert [op.name for op in inner.operations] == ["arith.addf", "tt.reduce.return"]
    assert last.name == "tt.return"
    with pytest.raises(GrammarError, match="no order"):
        reduction.number("order")
