"""The C++ program for another processor, built with Debian's cross compiler and run in an emulator."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.infer310.conftest import BUILD_SH
from tests.infer310.test_cpp_program import SPEECH

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
LOADER_FOLDER = "/usr/aarch64-linux-gnu"  # of the cross compiler, for the emulated program


@pytest.fixture(scope="module")
def aarch64_program():
    if shutil.which(COMPILER) is None or shutil.which("apt-get") is None:
        pytest.skip(f"found no {COMPILER} or no apt-get, which cross-compilation takes")
    environment = {"PYTHON": sys.executable, **os.environ}
    command = ["bash", str(BUILD_SH), "--arch", "aarch64"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return BUILD_SH.parent / "build-aarch64/gdprnn_infer"


def test_it_is_for_aarch64(aarch64_program):
    header = aarch64_program.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    assert int.from_bytes(header[18:20], "little") == 183  # EM_AARCH64


@pytest.mark.parametrize("engine", ["fused", "mindspore"])
def test_its_tracks_are_those_of_this_machine(aarch64_program, run_infer, exported, tmp_path, engine):
    if shutil.which(EMULATOR) is None:
        pytest.skip(f"found no {EMULATOR}, which runs the program")
    speech, rate = soundfile.read(SPEECH / "carlo.flac", frames=28000)  # four chunks
    soundfile.write(tmp_path / "talk.wav", speech, rate, subtype="FLOAT")
    options = ["--model", str(exported.path), "--input", str(tmp_path / "talk.wav"), "--engine", engine, "--output"]
    assert run_infer(*options, tmp_path / "here").returncode == 0
    # An emulated program cannot become another one, so the one for the engine is run directly.
    program = aarch64_program if engine == "fused" else aarch64_program.with_name("gdprnn_infer_mindspore")
    command = [EMULATOR, "-L", LOADER_FOLDER, program, "--no-cache", *options, tmp_path / "there"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name in ("talk_s1.wav", "talk_s2.wav"):
        here, there = (soundfile.read(tmp_path / folder / name)[0] for folder in ("here", "there"))
        assert here.shape == there.shape
        assert np.abs(here - there).max() <= 1e-4 * np.abs(here).max()
