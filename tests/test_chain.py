"""The whole chain, tiny: corpus folder -> mixtures -> MindRecord -> one epoch -> scores -> separated files."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import soundfile

import evaluate
import separate
import train
from src.errors import UserError
from tests.sessions import others, wait_until

ROOT = Path(__file__).parent.parent
RECIPE = """
model: {kernel_size: 8, num_filters: 32, hidden_size: 4, num_pairs: 1, chunk_frames: 16, normalize_level: true}
data: {segment_seconds: 0.25, valid_seconds: 0.5, dynamic_mixing: true, dynamic_examples: 8}
training: {epochs: 1, batch_size: 4}
"""


@pytest.fixture(scope="module")
def trained(tiny_records, tmp_path_factory):
    """The output folder of train.py."""
    output = tmp_path_factory.mktemp("run")
    recipe = output / "recipe.yaml"
    recipe.write_text(RECIPE)
    data = str(tiny_records)
    train.main(
        ["--config", str(recipe), "--train_dir", data, "--valid-dir", data, "--output_dir", str(output), "--lr", "1e-3"]
    )
    return output


def test_evaluation_scores_every_test_mixture(trained, tiny_records, capsys):
    options = ["--model_path", str(trained / "best.ckpt"), "--data-dir", str(tiny_records), "--output", str(trained)]
    evaluate.main(options)
    summary = json.loads((trained / "metrics.json").read_text())
    assert summary["num_utterances"] == 5
    assert capsys.readouterr().out.splitlines()[-1] == f"Average SISNR improvement: {summary['si_snri_db']:.2f}"
    with (trained / "per_utterance.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    mean = sum(float(row["si_snri_db"]) for row in rows) / 5
    assert mean == pytest.approx(summary["si_snri_db"], abs=1e-3)


def test_run_eval_in_foreground_and_background(trained, tiny_records, tmp_path):
    """From another folder, with paths of that folder."""
    (tmp_path / "my model.ckpt").symlink_to(trained / "best.ckpt")
    (tmp_path / "data").symlink_to(tiny_records)
    command = ["bash", str(ROOT / "scripts" / "run_eval.sh"), "0", "my model.ckpt", "data", "--chunk_seconds", "1.5"]
    environment = {**os.environ, "PYTHON": sys.executable}
    call = partial(subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    foreground = call([*command, "--overlap_seconds", "0.5", "--foreground", "--output", "scores"])
    assert foreground.returncode == 0, foreground.stdout + foreground.stderr
    log = (tmp_path / "scores" / "eval.log").read_text()
    assert log == foreground.stdout
    lines = log.splitlines()
    mean = json.loads((tmp_path / "scores" / "metrics.json").read_text())["si_snri_db"]
    assert lines[-1] == f"Average SISNR improvement: {mean:.2f}"
    assert "5 of 5 utterances are longer than a chunk of 1.5 s, and were separated in chunks" in lines

    background = call([*command, "--overlap_seconds", "0.5"])
    assert background.returncode == 0, background.stderr
    number = int(re.search(r"process (\d+)", background.stdout)[1])
    wait_until(lambda: (tmp_path / "runs/evaluate/metrics.json").exists() and not others(number), 120.0)
    wait_until(lambda: (tmp_path / "runs/evaluate/eval.log").read_text().splitlines()[-1] == lines[-1])


def test_separation_writes_a_file_a_speaker(trained, tiny_librimix, tmp_path):
    mixture = sorted((tiny_librimix / "wav8k/min/test/mix_clean").glob("*.wav"))[0]
    separate.main([str(mixture), "--model_path", str(trained / "best.ckpt"), "--output-dir", str(tmp_path)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{mixture.stem}_s1.wav", f"{mixture.stem}_s2.wav"]
    for name in names:
        assert soundfile.info(tmp_path / name).frames == soundfile.info(mixture).frames
        assert soundfile.info(tmp_path / name).samplerate == 8000


def test_a_data_set_that_is_not_there(trained, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        train.main(
            ["--train_dir", "nowhere.mindrecord", "--valid_dir", "nowhere.mindrecord", "--output_dir", str(tmp_path)]
        )
    with pytest.raises(UserError, match="nowhere"):
        evaluate.main(
            ["--model_path", str(trained / "best.ckpt"), "--data-dir", "nowhere", "--output", str(tmp_path / "scores")]
        )
    assert list(tmp_path.glob("*.ckpt")) == []


def test_data_must_be_named(tmp_path):
    with pytest.raises(UserError, match=r"data\.train: found none, expected a \.mindrecord file \(--train_dir\)"):
        train.main(["--output_dir", str(tmp_path)])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_training_with_a_word_and_loses_nothing(tiny_records, tmp_path, number):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("epochs: 1", "epochs: 100000"))
    data, output = str(tiny_records), tmp_path / "run"
    options = ["--config", str(recipe), "--train_dir", data, "--valid_dir", data, "--output_dir", str(output)]
    program = subprocess.Popen(
        [sys.executable, "train.py", *options], cwd=Path(__file__).parent.parent, stderr=subprocess.PIPE, text=True
    )
    for _ in range(240):
        if (output / "latest.ckpt").exists() or program.poll() is not None:
            break
        time.sleep(0.5)
    program.send_signal(number)
    _, printed = program.communicate(timeout=60)
    assert program.returncode == 130, printed
    assert "interrupted: nothing finished is lost" in printed
    assert "Traceback" not in printed
    assert (output / "latest.ckpt").exists()


def test_a_device_that_is_no_number(tmp_path, monkeypatch):
    monkeypatch.setenv("DEVICE_ID", "²")
    with pytest.raises(UserError, match=r"DEVICE_ID: found '²', expected the number of a device"):
        train.main(["--output_dir", str(tmp_path)])
