"""From a checkpoint to scores with the C++ program: what evaluate.py says of the checkpoint itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import evaluate

ROOT = Path(__file__).parents[2]


def test_scores_of_the_exported_network_are_those_of_the_checkpoint(cpp_build, exported, tiny_records, tmp_path):
    chunks = ["--chunk_seconds", str(exported.chunk_seconds), "--output", str(tmp_path / "python")]
    evaluate.main(["--model_path", str(exported.checkpoint), "--data-dir", str(tiny_records), *chunks])
    environment = {**os.environ, "PYTHON": sys.executable, "GDPRNN_INFER": str(cpp_build / "gdprnn_infer")}
    command = [str(exported.path), str(tiny_records), "y", "cpu", "--output", str(tmp_path / "cpp"), "--batch", "2"]
    job = subprocess.run(
        ["bash", str(ROOT / "scripts/run_infer_310.sh"), *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert job.returncode == 0, job.stderr
    expected, found = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("python", "cpp"))
    assert found["num_utterances"] == expected["num_utterances"] == 5
    for metric in ("si_snri_db", "sdri_db"):
        assert abs(found[metric] - expected[metric]) < 0.01
    assert job.stdout.splitlines()[-1] == f"Average SISNR improvement: {found['si_snri_db']:.2f}"
