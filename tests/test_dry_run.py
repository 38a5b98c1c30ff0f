"""What `train.py --dry_run` says."""

import subprocess
import sys
from pathlib import Path

import pytest

import train
from src import dry_run
from src.errors import UserError
from src.stepper import Stepper, StepResult

ROOT = Path(__file__).parent.parent
SMALL = ["--N", "32", "--L", "8", "--H", "4", "--R", "1", "--segment", "0.25", "--batch_size", "2", "--dry-run"]


def test_one_update_on_noise_without_any_data(tmp_path):
    result = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *SMALL, "--accumulation", "2", "--ema", "0.9"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    assert "  num_filters: 32" in said or any("num_filters: 32" in line for line in said)
    starts = [line.split(":")[0] for line in said]
    for word in ("parameters", "multiply-adds", "memory", "first step", "gradient norm", "loss"):
        assert starts.count(word) == 1, word
    assert abs(float(said[-1].removeprefix("loss: ").removesuffix(" dB"))) < 200
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_update(monkeypatch):
    """The update replaced by a number: whether the graph compiles is the other test's matter."""

    def set_result(loss, norm=1.0):
        monkeypatch.setattr(Stepper, "take", lambda *_: StepResult(loss, norm))
        monkeypatch.setattr(dry_run, "free_memory_bytes", lambda: 10**12)

    return set_result


def test_the_papers_size_is_told(no_update, capsys):
    no_update(-1.0)
    train.main(["--config", str(ROOT / "configs" / "gdprnn_2spk_8k.yaml"), "--dry_run"])
    assert "parameters: 7,558,913\n" in capsys.readouterr().out


def told_gigabytes(capsys, *options):
    train.main(["--config", str(ROOT / "configs" / "gdprnn_2spk_8k.yaml"), "--dry_run", *options])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("memory: about "))
    return float(line.split()[2])


def test_the_memory_told_is_that_of_the_operators_that_run(no_update, capsys, monkeypatch):
    no_update(-1.0)
    told = {}
    for library in (None, Path("library.so")):
        monkeypatch.setattr(dry_run, "fused_block_library", lambda _, library=library: library)
        told[library] = told_gigabytes(capsys)
    assert told[Path("library.so")] < 0.6 * told[None]


@pytest.mark.usefixtures("bfloat16_runs")
def test_the_memory_told_is_that_of_the_precision(no_update, capsys):
    no_update(-1.0)
    assert told_gigabytes(capsys, "--amp", "bfloat16") < 0.7 * told_gigabytes(capsys)


@pytest.mark.parametrize(("loss", "norm"), [(float("nan"), 1.0), (1.0, float("inf"))])
def test_a_loss_or_gradient_that_is_not_finite_is_an_error(no_update, loss, norm):
    no_update(loss, norm)
    with pytest.raises(UserError, match=r"found a loss of .* on random numbers, expected a finite one"):
        train.main(SMALL)


def test_too_little_memory_is_told_before_anything_is_built(monkeypatch):
    monkeypatch.setattr(dry_run, "free_memory_bytes", lambda: 10**9)
    with pytest.raises(UserError, match=r"found 1.0 GB of memory free, expected about .* GB: a smaller"):
        train.main(["--config", str(ROOT / "configs" / "gdprnn_2spk_8k.yaml"), "--dry_run"])


def test_a_precision_that_the_processor_does_not_have_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"^amp: found float16 on a CPU, expected bfloat16 or none$"):
        train.main([*SMALL, "--amp", "float16"])
