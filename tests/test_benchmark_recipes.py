"""benchmarks/recipes.py: its points, pieces and table, and a short course with a tiny network."""

import dataclasses

import numpy as np
import pytest

from benchmarks import recipes, recipes_pieces, recipes_worker
from benchmarks.recipes_pieces import Pieces
from benchmarks.recipes_points import Point, read_points, recipe_table, times, write_points
from benchmarks.recipes_table import RECIPES
from src.config import override
from src.runtime import start

NAN = float("nan")


def point(recipe="base", minutes=3.0, valid_db=1.0, plateau=NAN):
    return Point(recipe, minutes, 600, -1.5, 1.2, valid_db, 0.9, 1.5, plateau, 0.012, "a+b 1.00, a+c 0.50")


def test_every_recipe_is_a_valid_configuration():
    configs = {name: recipe.config("t", "v") for name, recipe in RECIPES.items()}
    assert len(set(configs.values())) == len(RECIPES)
    assert all((config.data.train, config.training.schedule) == ("t", "constant") for config in configs.values())
    assert configs["two-crop4"].data.segment_seconds == 4 and configs["two-crop4"].model.num_pairs == 2


@pytest.mark.parametrize(
    ("minutes", "every", "expected"),
    [(12, 3, [3, 6, 9, 12]), (10, 4, [4, 8, 10]), (2, 3, [2]), (0.3, 0.1, [0.1, 0.2, 0.3])],
)
def test_scores_come_at_regular_times_and_at_the_end(minutes, every, expected):
    assert times(minutes, every) == pytest.approx(expected)


def test_points_come_back_from_their_file(tmp_path):
    points = [point(), point("r2", 6.0, plateau=4.5)]
    assert read_points(tmp_path / "points.csv") == []
    write_points(tmp_path / "points.csv", points)
    read = read_points(tmp_path / "points.csv")
    assert str(read) == str(points)  # NaN is not equal to itself
    assert read[1].seconds_per_update == pytest.approx(0.6)


def test_the_table_has_a_recipe_s_curve_in_a_row():
    points = [point(minutes=6.0, valid_db=1.4), point(minutes=3.0), point("r2", 6.0, plateau=4.53)]
    lines = recipe_table(points, {"r2": "two pairs"}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells[0][:1] + cells[0][2:] == (
        [
            "base",
            "6.0",
            "600",
            "0.600",
            "1.20 at 3, 1.20 at 6",
            "1.00 at 3, 1.40 at 6",
            "0.90",
            "1.50",
            "not yet",
            "0.012",
        ]
    )
    assert cells[1][:2] == ["r2", "two pairs"] and cells[1][-2] == "4.5"


def test_results_of_all_recipes_are_gathered(tmp_path):
    for name in ("r2", "base"):
        (tmp_path / name).mkdir()
        write_points(tmp_path / name / "points.csv", [point(name)])
    text = recipes.write_results(tmp_path)
    assert [each.recipe for each in read_points(tmp_path / "recipes.csv")] == ["base", "r2"]
    assert (tmp_path / "recipes.md").read_text().endswith(f"{text}\n")


def test_a_recipe_that_fails_says_where_to_look(tmp_path, capsys):
    with pytest.raises(recipes.UserError, match=r"base: ended with status 1, see .*log\.txt"):
        recipes.train("base", tmp_path / "none", tmp_path, 1, 1)


# pieces


def pieces():
    sources = np.random.default_rng(0).normal(size=(16, 2, 400)).astype(np.float32)
    pairs = ("a+b",) * 4 + ("a+c",) * 4 + ("b+c",) * 8
    return Pieces(sources.sum(axis=1), sources, pairs, np.array([True] * 4 + [False] * 12))


def test_improvements_and_their_means():
    some = pieces()
    assert some.improvements(np.stack([some.mixtures] * 2, axis=1)) == pytest.approx(np.zeros(16), abs=1e-4)
    noisy = some.sources[:, ::-1] + 0.1 * np.random.default_rng(1).normal(size=some.sources.shape)
    assert some.improvements(noisy) == pytest.approx(20, abs=2)
    means = some.by_pair(np.repeat([1.0, 2.0, 4.0], [4, 4, 8]))
    assert means == {"a+b": 1, "a+c": 2, "b+c": 4}
    assert (some.mean_of_pairs(means, within=True), some.mean_of_pairs(means, within=False)) == (1, 3)


def test_pieces_come_back_from_their_file(tmp_path):
    pieces().save(tmp_path / "x.npz")
    again = Pieces.load(tmp_path / "x.npz")
    for field in dataclasses.fields(Pieces):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(pieces(), field.name))


def test_batches_are_put_together():
    tracks = pieces().separated(lambda mixtures: np.stack([mixtures, -mixtures], axis=1))
    np.testing.assert_array_equal(tracks[:, 1], -pieces().mixtures)


# a course


@pytest.fixture(scope="module")
def tiny(tiny_records):
    """The base with a tiny network and synthetic voices."""
    start("CPU")
    config = RECIPES["base"].config(tiny_records / "train.mindrecord", tiny_records / "valid.mindrecord")
    config = override(config, "model", num_filters=8, kernel_size=4, hidden_size=4)
    config = override(config, "training", amp="none")
    return override(config, "data", segment_seconds=0.25, valid_seconds=0.5, dynamic_examples=7)


@pytest.fixture(autouse=True)
def few_pieces(monkeypatch):
    monkeypatch.setattr(recipes_pieces, "PIECES_OF_A_PAIR", 3)
    monkeypatch.setattr(recipes_pieces, "BATCH", 2)
    monkeypatch.setattr(recipes_pieces, "TRAINING_LIKE", 4)


def test_validation_pieces_are_a_few_of_every_pair(tiny):
    found = recipes_pieces.of_validation(tiny)
    assert found.pairs == ("pvalid120+pvalid210",) * 2  # three, but for the one that fills no batch
    assert found.mixtures.shape == (2, 4000)
    np.testing.assert_allclose(found.sources.sum(axis=1), found.mixtures, atol=1e-4)


def test_training_like_pieces_are_long_and_always_the_same(tiny):
    found, again = recipes_pieces.like_training(tiny), recipes_pieces.like_training(tiny)
    assert found.mixtures.shape == (4, 4000)
    np.testing.assert_array_equal(found.mixtures, again.mixtures)


def test_a_course_that_was_stopped_goes_on_with_the_same_updates(tiny, tmp_path):
    whole = recipes_worker.Course(tiny, tmp_path / "whole")
    for _ in range(12):
        whole.step()
    first = recipes_worker.Course(tiny, tmp_path / "parts")
    for _ in range(9):
        first.step()
    first.save()
    second = recipes_worker.Course(tiny, tmp_path / "parts")
    assert (second.done.updates, second.done.epoch, second.done.batches) == (9, 1, 2)
    for _ in range(3):
        second.step()
    for one, other in zip(whole.stepper.state, second.stepper.state, strict=True):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())


def test_a_course_is_scored_and_its_time_counts(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(recipes_worker, "PROBE_SECONDS", 0.2)
    valid = recipes_pieces.of_validation(tiny)
    course = recipes_worker.Course(tiny, tmp_path)
    loss_db, like_db = recipes_worker.train_to(course, 0.01, valid)
    found = recipes_worker.score(course, "base", loss_db, like_db, valid)
    assert found.cpu_minutes >= 0.01 and found.updates >= 2
    assert np.isfinite([found.loss_db, found.like_db, found.valid_db, found.across_db]).all()
    assert np.isnan(found.within_db)  # these records do not tell their origins
    assert found.pairs.startswith("pvalid120+pvalid210 ")
