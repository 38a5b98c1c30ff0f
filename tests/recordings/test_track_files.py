"""Output files: formats, what exceeds full scale, full disks, and that nothing half-written is left."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.errors import UserError
from src.recordings.track_files import (
    FLOAT_WAV,
    Track,
    TrackFile,
    TrackFormat,
    check_rate,
    choose_format,
    write_tracks,
)

ROOT = Path(__file__).parent.parent.parent
RATE = 8000
WAV, FLAC = TrackFormat("wav", "PCM_16"), TrackFormat("flac", "PCM_16")


def noise(*shape: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(shape).standard_normal(shape)


@pytest.mark.parametrize(
    ("stored", "wav", "flac"),
    [
        ("PCM_16", "PCM_16", "PCM_16"),
        ("PCM_24", "PCM_24", "PCM_24"),
        ("PCM_32", "FLOAT", "PCM_24"),
        ("FLOAT", "FLOAT", "PCM_24"),
        ("DOUBLE", "FLOAT", "PCM_24"),
        ("PCM_U8", "PCM_16", "PCM_16"),
        ("PCM_S8", "PCM_16", "PCM_16"),
        ("ULAW", "PCM_16", "PCM_16"),
        ("MPEG_LAYER_III", "PCM_16", "PCM_16"),
        ("VORBIS", "PCM_16", "PCM_16"),
        ("ALAC_24", "PCM_24", "PCM_24"),
    ],
)
def test_the_bit_depth_is_the_inputs(stored, wav, flac):
    assert choose_format(stored, "wav") == TrackFormat("wav", wav)
    assert choose_format(stored, "flac") == TrackFormat("flac", flac)


@pytest.mark.parametrize("form", [WAV, FLAC, FLOAT_WAV, TrackFormat("wav", "PCM_24"), TrackFormat("flac", "PCM_24")])
def test_tracks_are_read_back(tmp_path, form):
    samples = noise(1001, 2)
    tracks = [Track(Path("final") / f"a.b_s{number}", tmp_path, form) for number in (1, 2)]
    written = write_tracks(tracks, lambda: iter(np.split(samples, [300, 301])), 1001, 44100)
    assert written == tracks
    for column, number in enumerate((1, 2)):
        path = tmp_path / f"a.b_s{number}.{form.extension}"
        info = soundfile.info(path)
        assert (info.subtype, info.samplerate, info.frames) == (form.subtype, 44100, 1001)
        found, _ = soundfile.read(path)
        scale = {"PCM_16": 2.0**15, "PCM_24": 2.0**23}.get(form.subtype)
        expected = np.rint(samples[:, column] * scale) / scale if scale else samples[:, column].astype(np.float32)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("form", [WAV, FLAC, TrackFormat("flac", "PCM_24")])
def test_only_what_exceeds_full_scale_becomes_float_wav(tmp_path, form):
    samples = noise(100, 3)
    samples[70, 1] = -1.5
    calls = []
    tracks = write_tracks(
        [Track(tmp_path / name, tmp_path, form) for name in "abc"],
        lambda: calls.append(1) or iter(np.split(samples, 4)),
        100,
        RATE,
    )
    assert [track.form for track in tracks] == [form, FLOAT_WAV, form]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"a.{form.extension}",
        "b.wav",
        f"c.{form.extension}",
    ]
    np.testing.assert_array_equal(soundfile.read(tmp_path / "b.wav", dtype="float32")[0], samples[:, 1].astype("f4"))
    assert len(calls) == 2


def test_flac_is_refused_rates_that_it_cannot_store(tmp_path):
    for rate in (1, 44100, 65535, 96000, 655350):
        check_rate(rate, "flac")
        with TrackFile(Track(tmp_path / "a", tmp_path, FLAC), 10, rate) as file:
            file.write(np.zeros(10))
    for rate in (65537, 96001, 655360, 768000):
        check_rate(rate, "wav")
        with pytest.raises(UserError, match=f"found a sample rate of {rate} Hz, which flac cannot store"):
            check_rate(rate, "flac")


@pytest.mark.parametrize("form", [WAV, FLAC, FLOAT_WAV])
@pytest.mark.parametrize("limit", [50, 5000, 29_000])
def test_a_full_disk_is_told_with_the_final_name(tmp_path, form, limit):
    """50: not even the header; 29,000: all but the end, where libsndfile notices nothing."""
    code = f"""
import numpy as np
from pathlib import Path
from src.errors import UserError
from src.recordings.track_files import Track, TrackFile, TrackFormat
samples = np.random.default_rng(0).uniform(-1, 0.99, 15_000)
track = Track(Path("final", "a_s1"), Path({str(tmp_path)!r}), {form!r})
try:
    with TrackFile(track, 15_000, 8000) as file:
        for block in np.split(samples, 15):
            file.write(block)
except UserError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout.startswith(f"final/a_s1.{form.extension}: cannot be written (")
    assert len(result.stdout.splitlines()) == 1
