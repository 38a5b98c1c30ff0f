"""What is kept of an evaluation that was stopped, however it was stopped."""

import json
import resource

import pytest

from src.errors import UserError
from src.scores.scoring import Result
from src.scores.unfinished import unfinished_results

KEY = {"checkpoint": "abc", "batch_size": 1, "compare_whole": False}
RESULTS = [
    Result(3, {"si_snr_db": [1 / 3, -0.1], "stoi": [None, 0.7]}, "", 2, 1e-17),
    Result(0, {}, "source 2 is silent"),
    Result(1, {"si_snr_db": [2.0, 3.0]}),
]


@pytest.fixture
def path(tmp_path):
    """A file with the results."""
    path = tmp_path / "partial.jsonl"
    with unfinished_results(path, KEY) as unfinished:
        assert unfinished.results == []
        for result in RESULTS:
            unfinished.append(result)
    return path


def reopen(path, key=KEY):
    with unfinished_results(path, key) as unfinished:
        return unfinished.results, unfinished.replaced


def test_results_come_back_exactly(path):
    assert reopen(path) == (RESULTS, False)
    assert reopen(path) == (RESULTS, False)


def test_every_result_is_in_the_file_at_once(tmp_path):
    path = tmp_path / "partial.jsonl"
    with unfinished_results(path, KEY) as unfinished:
        for count, result in enumerate(RESULTS, start=1):
            unfinished.append(result)
            assert len(path.read_bytes().splitlines()) == 1 + count


@pytest.mark.parametrize("key", [KEY | {"checkpoint": "abd"}, KEY | {"batch_size": 2}, {}])
def test_results_of_something_else_are_replaced(path, key):
    assert reopen(path, key) == ([], True)
    assert path.read_text() == json.dumps(key) + "\n"
    assert reopen(path, key) == ([], False)


@pytest.mark.parametrize("num_bytes", range(1, 45))
def test_a_last_line_that_is_cut_off_is_done_again(path, num_bytes):
    path.write_bytes(path.read_bytes()[:-num_bytes])
    with unfinished_results(path, KEY) as unfinished:
        assert unfinished.results == RESULTS[:2]
        unfinished.append(RESULTS[2])
    assert reopen(path) == (RESULTS, False)


@pytest.mark.parametrize("spoiled", [b"\x00" * 40 + b"\n", b"[1, 2]\n", b'{"record": 1, "other": 2}\n', b"\xff\n"])
def test_what_is_behind_a_damaged_line_is_done_again(path, spoiled):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], spoiled, *lines[3:]]))
    assert reopen(path) == (RESULTS[:1], False)
    assert path.read_bytes() == b"".join(lines[:2])


@pytest.mark.parametrize("content", [b"", b"{", b"not ours\n", b"\x00\x00\n"])
def test_a_file_without_a_first_line_is_begun_anew(tmp_path, content):
    path = tmp_path / "partial.jsonl"
    path.write_bytes(content)
    assert reopen(path) == ([], False)
    assert path.read_text() == json.dumps(KEY) + "\n"


def test_it_is_gone_when_it_is_removed(path):
    with unfinished_results(path, KEY) as unfinished:
        unfinished.remove()
    assert not path.exists()


def test_two_evaluations_in_one_folder_are_told(path):
    with (
        unfinished_results(path, KEY),
        pytest.raises(UserError, match="found an evaluation that is going on") as caught,
    ):
        reopen(path)
    assert "\n" not in str(caught.value)
    assert reopen(path) == (RESULTS, False)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match=r"taken: cannot be written \(Is a directory\)"):
        reopen(tmp_path / "taken")


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))  # as a full disk: 10 bytes fit
    try:
        with unfinished_results(path, KEY) as unfinished:
            with pytest.raises(UserError, match=r"partial.jsonl: cannot be written \(") as caught:
                for _ in range(2):
                    unfinished.append(Result(2, {"si_snr_db": [1.0, 1.0]}))
            assert "\n" not in str(caught.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert reopen(path) == (RESULTS, False)
