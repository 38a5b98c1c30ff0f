"""The pure parts of benchmarks/performance.py, growth.py and shares.py: no clock, no other process."""

import numpy as np
import pytest

from benchmarks import growth_points, performance
from benchmarks.agreement import check_losses, check_tracks, track_error
from benchmarks.contenders import Contender, in_turn, markdown_table, spread
from benchmarks.frontier_picture import draw_frontier, frontier
from benchmarks.growth_picture import draw, growth_table
from benchmarks.growth_points import MEASURED, MEMORY, TRAINING, WHOLE, Point, Result
from benchmarks.performance_tables import Group, block_table, paired_ratio, product_table, table
from benchmarks.shares import shares_table
from benchmarks.sizes import LARGE_PRODUCT, SIZES, Product, input_product, products, step_product

PAPER = SIZES["paper"]


# sizes


def test_a_product_counts_two_operations_for_each_multiply_add():
    assert Product(3, 5, 7).flops == 2 * 3 * 5 * 7
    assert LARGE_PRODUCT.flops == 2 * 2048**3


def test_a_product_is_found_again_by_its_name():
    assert Product.named(Product(32, 256, 512).name) == Product(32, 256, 512)


def test_the_products_of_the_paper_s_lstm():
    assert step_product(PAPER.model, 128) == Product(128, 256, 512)
    assert input_product(PAPER) == Product(126 * 128, 128, 512)
    assert [product.rows for product in products(PAPER)] == [2048, 32, 64, 128, 16128]


def test_the_operations_of_the_paper_s_network():
    assert PAPER.flops("inference") == pytest.approx(241.1e9, rel=1e-3)
    assert PAPER.flops("training") == pytest.approx(725.4e9, rel=1e-3)


def test_the_blocks_are_nearly_all_of_the_network():
    blocks = 2 * PAPER.model.num_pairs * PAPER.block_flops(with_gradient=False)
    assert 0.99 < blocks / PAPER.flops("inference") < 1
    assert PAPER.block_flops(True) == 3 * PAPER.block_flops(False)


# tables


def test_a_spread_has_the_median_and_both_ends():
    assert spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0 to 3.0)"


def test_every_row_of_a_table_must_fit_its_head():
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    with pytest.raises(ValueError, match=r"Expected 2 cells\. Found: 1"):
        markdown_table(["a", "b"], [["1"]])


def test_a_ratio_compares_what_met_in_the_same_round():
    assert paired_ratio([1.0, 10.0, 3.0], [2.0, 20.0, 3.0]) == 0.5


def test_rounds_go_forwards_and_backwards():
    assert in_turn(0, [1, 2, 3]) == [1, 2, 3]
    assert in_turn(1, [1, 2, 3]) == [3, 2, 1]


def group(part: str) -> Group:
    rates = {product.name: [100e9, 200e9, 300e9] for product in products(PAPER)}
    contenders = [
        Contender(name, [], seconds=seconds, peak_kb=peak, first_seconds=[first], start_seconds=[9.0], note="x")
        for name, seconds, peak, first in (("PyTorch", [4.0, 4.0], 2000, 8.0), ("ours", [3.0, 2.0], 1000, 12.0))
    ]
    found = Group(PAPER, part, contenders, rates)
    for each in contenders:
        found.task_seconds[each.name, "along forward"] = each.seconds
    return found


def cells(text: str, start: str) -> list[str]:
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_table_of_training():
    row = cells(table([group("training")], "PyTorch"), "ours")
    rate = PAPER.flops("training") / 2.5
    assert row[1:] == [
        "2.500 (2.000 to 3.000)",
        "0.62",
        f"{rate / 1e9:.0f}",
        f"{100 * rate / 200e9:.0f} %",
        "1 MB",
        "0.50",
        "12.00",
        "1.50",
        "9.0",
    ]


def test_the_table_of_inference_has_the_real_time_factor():
    assert cells(table([group("inference")], "PyTorch"), "ours")[-1] == "0.6250"


def test_the_frontier_has_the_ratios_of_the_tables(tmp_path):
    points = frontier([group("training")], "PyTorch")
    assert points == {"PyTorch": (1.0, 1.0), "ours": (0.625, 0.5)}
    draw_frontier("paper", points, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes()[:4] == b"\x89PNG"


def test_a_table_without_the_baseline_has_no_ratios():
    alone = group("training")
    alone.contenders = alone.contenders[1:]
    assert cells(table([alone], "PyTorch"), "ours")[2] == ""


def test_the_table_of_the_block():
    row = cells(block_table([group("block")], "PyTorch"), "ours")
    rate = PAPER.block_flops(False) / 2.5
    assert row[3:] == ["0.62", f"{rate / 1e9:.0f}", f"{100 * rate / 200e9:.0f} %", f"{100 * rate / 200e9:.0f} %"]


def test_the_table_of_products_names_their_sizes():
    assert cells(product_table([group("block")]), "[128 x 256] x [256 x 512]")[1] == "200 (100 to 300)"


def test_shares_above_the_aim_say_so():
    text = shares_table([("loader", "an update", 0.01, 1.0), ("metrics", "an epoch", 6.0, 100.0)])
    assert cells(text, "loader")[-1] == "1.00 %"
    assert cells(text, "metrics")[-1] == "6.00 %, above 5 %"


# agreement


def test_tracks_that_differ_are_a_problem():
    tracks = np.array([1.0, -2.0])
    problems: list[str] = []
    check_tracks({"PyTorch": tracks, "ours": tracks + 1e-4, "ours, bfloat16": tracks + 0.1}, "PyTorch", problems)
    assert problems == []
    check_tracks({"PyTorch": tracks, "ours": tracks + 1e-3}, "PyTorch", problems)
    assert problems == ["outputs of ours: found 5.0e-04 of the peak from PyTorch, expected 0.0001"]
    assert track_error(tracks + 0.5, tracks) == 0.25


def test_tracks_that_are_no_numbers_are_a_problem():
    problems: list[str] = []
    check_tracks({"PyTorch": np.ones(2), "ours": np.full(2, np.nan)}, "PyTorch", problems)
    assert len(problems) == 1


def test_only_the_first_losses_must_agree():
    problems: list[str] = []
    reference = ["3.0", "2.0", "1.0", "0.0"]
    check_losses({"PyTorch": reference, "ours": ["3.0009", "2.0", "1.04", "9.0"]}, "PyTorch", problems)
    assert problems == []
    check_losses({"PyTorch": reference, "ours": ["3.0", "2.1", "1.0"]}, "PyTorch", problems)
    assert problems == [
        "losses of ours: found 0.0000 / 0.1000 / 0.0000 dB from PyTorch, expected at most 0.001 / 0.01 / 0.05 dB"
    ]


# groups


def test_all_run_together_where_they_fit():
    assert performance.plan_groups({"PyTorch": 1, "a": 1, "b": 1}, 3) == [["PyTorch", "a", "b"]]


def test_every_group_has_the_baseline():
    needs = {"PyTorch": 6, "a": 9, "b": 4, "c": 5, "d": 99}
    assert performance.plan_groups(needs, 16) == [["PyTorch", "a"], ["PyTorch", "b", "c"], ["PyTorch", "d"]]
    assert performance.plan_groups({"PyTorch": 6}, 1) == [["PyTorch"]]


def test_recompute_bfloat16_and_the_compiled_operators_need_less():
    kinds = ("ours, recompute, bfloat16", "ours, recompute", "ours, bfloat16", "ours", performance.OFF)
    needs = [performance.needed_bytes(PAPER, "training", kind) for kind in kinds]
    assert needs == sorted(set(needs))
    assert performance.needed_bytes(PAPER, "training", "PyTorch") < needs[-1]


def test_pytorch_is_always_a_contender():
    assert performance.choose_kinds("block", ["ours"]) == ["PyTorch", "ours"]
    assert performance.choose_kinds("training", None) == list(performance.KINDS["training"])


# growth


def test_a_point_is_found_again_by_its_text():
    for point in growth_points.all_points("demo"):
        assert Point.from_text(point.text) == point


def test_a_point_changes_what_grows():
    assert Point("demo", "speakers", TRAINING, 7).model.num_speakers == 7
    assert Point("demo", "pairs", TRAINING, 3).model.num_pairs == 3
    assert Point("demo", "length", WHOLE, 30.0).seconds_of_audio == 30.0
    assert Point("demo", "batch", WHOLE, 4).batch_size == 4
    assert Point("demo", "batch", WHOLE, 4).model == SIZES["demo"].model


def test_results_survive_their_file(tmp_path):
    path = tmp_path / "growth.csv"
    assert growth_points.read_results(path) == []
    results = [
        Result("demo", "length", WHOLE, 1.5, MEASURED, 0.25, 2.0, 600.0),
        Result("demo", "batch", WHOLE, 8, MEMORY),
    ]
    growth_points.write_results(path, results)
    assert growth_points.read_results(path) == results


def test_what_was_measured_is_not_measured_again():
    points = growth_points.all_points("demo")
    results = [Result(*_where(point), MEASURED) for point in points[:3]]
    assert growth_points.points_left(points, results) == points[3:]


def test_what_failed_is_tried_again():
    points = growth_points.all_points("demo")
    assert growth_points.points_left(points, [Result(*_where(points[0]), "failed")]) == points


def test_nothing_larger_is_tried_where_something_did_not_fit():
    points = growth_points.all_points("demo")
    left = growth_points.points_left(points, [Result("demo", "length", WHOLE, 60.0, MEMORY)])
    assert [point.value for point in left if (point.axis, point.work) == ("length", WHOLE)] == [1, 2, 4, 8, 16, 30]
    assert len(left) == len(points) - 4


def _where(point: Point) -> tuple[str, str, str, float]:
    return point.network, point.axis, point.work, point.value


def test_the_table_of_growth_says_what_is_missing():
    results = [Result("demo", "batch", WHOLE, 8, MEMORY), Result("demo", "batch", WHOLE, 4, MEASURED, 2.0, 9.0, 700.0)]
    text = growth_table(results)
    assert cells(text, "4 ")[2:] == ["2.000", "0.500", "9.0", "700"]
    assert cells(text, "8 ")[2] == "too little memory"


def test_the_picture_is_drawn_from_what_there_is(tmp_path):
    draw([Result("demo", "length", WHOLE, 1.0, MEASURED, 1.0, 1.0, 1.0)], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
