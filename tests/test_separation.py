"""Files of every kind through a stand-in for the network: lengths, rates, formats, sums, and what is told."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import lfilter

from src import separation
from src.audio import read_audio
from src.errors import UserError
from src.recordings import track_files
from src.recordings.inputs import expand_inputs, plan_outputs
from src.recordings.screen import ProgressBar
from src.stitching.chunks import Chunking
from tests.separation_stand_ins import MODEL_RATE, low_and_high, make_network, run, split_in_two

T = 4000


def signals(count: int, num_samples: int = T, seed: int = 0) -> np.ndarray:
    white = np.random.default_rng([seed, count]).standard_normal((count, num_samples))
    return 0.1 * lfilter([1.0], [1.0, -0.9], white, axis=-1)


def without_part_along(signal: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """What is left of a signal after least squares on others."""
    basis = np.stack(others, axis=1)
    return signal - basis @ np.linalg.lstsq(basis, signal, rcond=None)[0]


def tracks_in(folder: Path, *names: str) -> np.ndarray:
    return np.concatenate([read_audio(folder / name)[0] for name in names])


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


# lengths, rates, channels

KINDS = {
    "mono 8 kHz wav": ("a.wav", 8000, (5001,)),
    "mono 16 kHz wav": ("a.wav", 16000, (7777,)),
    "stereo 44.1 kHz flac": ("a.flac", 44100, (20001, 2)),
    "22.05 kHz ogg": ("a.ogg", 22050, (9999,)),
    "8 channels at 192 kHz": ("a.wav", 192000, (50000, 8)),
    "4 kHz": ("a.wav", 4000, (1001,)),
    "two dots in the name": ("a.b.aiff", 8000, (300,)),
    "one sample": ("a.wav", 8000, (1,)),
    "one sample at 48 kHz": ("a.wav", 48000, (1,)),
    "seven samples at 11025 Hz": ("a.wav", 11025, (7,)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunking", [Chunking(), Chunking(2000, 500)])
def test_outputs_have_the_inputs_length_and_rate(tmp_path, kind, chunking):
    name, rate, shape = KINDS[kind]
    path = tmp_path / name
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(shape), rate)
    run([path], tmp_path / "new" / "out", chunking=chunking, residual=True)
    endings = ("residual", "s1", "s2")
    assert names_in(tmp_path / "new" / "out") == [f"{path.stem}_{ending}.wav" for ending in endings]
    for output in (tmp_path / "new" / "out").iterdir():
        info = soundfile.info(output)
        assert (info.frames, info.samplerate, info.channels, info.subtype) == (shape[0], rate, 1, "PCM_16")


@pytest.mark.parametrize(("rate", "tolerance"), [(8000, 4e-5), (44100, 1e-3)])
def test_tracks_sum_to_the_mean_of_the_channels(tmp_path, rate, tolerance):
    path = tmp_path / "a.wav"
    time = np.arange(rate) / rate
    channels = np.stack([0.2 * np.sin(2 * np.pi * hertz * time) for hertz in (200, 1500)], axis=1)
    soundfile.write(path, channels, rate, subtype="PCM_24")
    run([path], tmp_path)
    total = tracks_in(tmp_path, "a_s1.wav", "a_s2.wav").sum(axis=0)
    inner = slice(rate // 10, -rate // 10)  # resampling rings at the ends
    np.testing.assert_allclose(total[inner], channels.mean(axis=1)[inner], atol=tolerance)


def write_noise(path: Path, *shape: int, rate: int = 44100, subtype: str = "PCM_16") -> np.ndarray:
    """White noise, of which the network hears a part only; what the file holds, [channels, T]."""
    soundfile.write(path, 0.1 * np.random.default_rng(shape).standard_normal(shape), rate, subtype=subtype)
    return read_audio(path)[0]


@pytest.mark.parametrize("extension", ["wav", "flac"])
@pytest.mark.parametrize(("subtype", "step"), [("PCM_16", 2**-15), ("PCM_24", 2**-23)])
def test_tracks_and_residual_sum_to_the_mixture(tmp_path, extension, subtype, step):
    channels = write_noise(tmp_path / "a.wav", 30000, 3, subtype=subtype)
    run([tmp_path / "a.wav"], tmp_path / "out", chunking=Chunking(2000, 500), residual=True, extension=extension)
    files = [f"a_{ending}.{extension}" for ending in ("s1", "s2", "residual")]
    assert names_in(tmp_path / "out") == sorted(files)
    tracks = tracks_in(tmp_path / "out", *files)
    np.testing.assert_allclose(tracks.sum(axis=0), channels.mean(axis=0), rtol=0, atol=1.5 * step + 1e-12)
    assert np.std(tracks[2]) > 0.03  # what is above 4 kHz


def test_chunks_give_the_same_gains_as_the_whole_and_no_jump(tmp_path):
    rng = np.random.default_rng(0)
    mixture = 0.1 * rng.standard_normal(50 * MODEL_RATE) * np.repeat(rng.uniform(0.1, 1.0, 50), MODEL_RATE)
    soundfile.write(tmp_path / "a.wav", mixture, MODEL_RATE, subtype="FLOAT")
    expected = split_in_two(mixture[np.newaxis])[0]
    for name, chunking in (("whole", Chunking()), ("chunks", Chunking.from_seconds(8, 2, MODEL_RATE))):
        run([tmp_path / "a.wav"], tmp_path / name, chunking=chunking)
        np.testing.assert_allclose(tracks_in(tmp_path / name, "a_s1.wav", "a_s2.wav"), expected, atol=2e-6)


def test_chunks_share_the_network_in_batches(tmp_path):
    shapes = []

    def watched(mixtures):
        shapes.append(mixtures.shape)
        return low_and_high(mixtures)

    soundfile.write(tmp_path / "a.wav", signals(1, 10_000)[0], MODEL_RATE)
    plan = plan_outputs(expand_inputs([str(tmp_path / "a.wav")])[0], tmp_path / "out", 2)
    separation.separate_each(plan, tmp_path / "out", make_network(watched, Chunking(4000, 1000), batch_size=2))
    assert shapes == [(2, 4000), (1, 4000)]


# formats


@pytest.mark.parametrize(
    ("stored", "extension", "subtype"),
    [
        ("PCM_16", "wav", "PCM_16"),
        ("PCM_24", "wav", "PCM_24"),
        ("FLOAT", "wav", "FLOAT"),
        ("DOUBLE", "flac", "PCM_24"),
        ("ULAW", "wav", "PCM_16"),
    ],
)
def test_the_bit_depth_is_kept(tmp_path, stored, extension, subtype):
    write_noise(tmp_path / "a.wav", 2000, rate=MODEL_RATE, subtype=stored)
    run([tmp_path / "a.wav"], tmp_path / "out", extension=extension)
    for name in (f"a_s1.{extension}", f"a_s2.{extension}"):
        assert soundfile.info(tmp_path / "out" / name).subtype == subtype


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_equal_samples_give_equal_bytes_on_any_day(tmp_path, subtype, extension):
    write_noise(tmp_path / "a.wav", 2000, subtype=subtype)
    for name in ("x", "y"):
        run([tmp_path / "a.wav"], tmp_path / name, extension=extension)
    for path in (tmp_path / "x").iterdir():
        content = path.read_bytes()
        assert content == (tmp_path / "y" / path.name).read_bytes()
        assert b"PEAK" not in content  # libsndfile's chunk with the time of writing


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_beyond_full_scale_is_float_unscaled_and_told(tmp_path, capsys, extension):
    mixture = 0.5 * np.sin(np.arange(1000))
    rest = without_part_along(np.where(np.arange(1000) % 7 == 0, 3.0, 0.0), mixture)
    tracks = np.stack([mixture + rest, 0.01 * mixture - rest, rest])
    path = tmp_path / "a.wav"
    soundfile.write(path, mixture, MODEL_RATE)
    run([path], tmp_path / "out", lambda mixtures: tracks[np.newaxis, :2].astype(np.float32), extension=extension)
    assert names_in(tmp_path / "out") == ["a_s1.wav", "a_s2.wav"]
    told = capsys.readouterr().err
    for name in ("a_s1.wav", "a_s2.wav"):
        assert soundfile.info(tmp_path / "out" / name).subtype == "FLOAT"
        assert f"{name}: goes beyond full scale, so it is written as 32-bit float wav" in told
    total = tracks_in(tmp_path / "out", "a_s1.wav", "a_s2.wav").sum(axis=0)
    np.testing.assert_allclose(total, mixture, atol=1e-4)
    assert read_audio(tmp_path / "out" / "a_s1.wav")[0].max() > 1.4


# what is told


def told_about(tmp_path: Path, capsys, samples: np.ndarray, rate: int = MODEL_RATE, **options: str) -> list[str]:
    soundfile.write(tmp_path / "a.wav", samples, rate, **options)
    run([tmp_path / "a.wav"], tmp_path / "out")
    assert len(names_in(tmp_path / "out")) == 2  # it never stops anything
    told = capsys.readouterr().err.splitlines()
    return [line.replace(f"{tmp_path}/", "") for line in told if line.startswith(("warning:", "note:"))]


def test_a_good_recording_gives_no_remark(tmp_path, capsys):
    assert told_about(tmp_path, capsys, signals(1)[0]) == []


@pytest.mark.parametrize(
    ("samples", "rate", "line"),
    [
        (signals(1)[0], 4000, "warning: a.wav: found a sample rate of 4000 Hz, so there is nothing above 2000 Hz; "),
        (signals(1)[0], 16000, "note: a.wav: the network hears up to 4000 Hz: its tracks, at 16000 Hz as the input, "),
        (signals(1)[0] / 4000, 8000, "warning: a.wav: very quiet: found a level of -8"),
        (np.zeros(100), 8000, "warning: a.wav: silent, and so are its tracks"),
        (np.clip(9 * signals(1)[0], -0.5, 0.5), 8000, "warning: a.wav: clipped: found "),
        (signals(2).T, 8000, "note: a.wav: its 2 channels are averaged"),
        (signals(1)[0][:7], 8000, "warning: a.wav: found a length of 7 at 8000 Hz, expected at least one window"),
    ],
)
def test_remarks_are_one_line_each(tmp_path, capsys, samples, rate, line):
    (told,) = told_about(tmp_path, capsys, samples, rate, subtype="FLOAT")
    assert told.startswith(line)


def test_the_same_note_is_told_once(tmp_path, capsys):
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, signals(2).T, 16000)
    run([tmp_path / "a.wav", tmp_path / "b.wav"], tmp_path / "out")
    assert capsys.readouterr().err.count("note:") == 2


def test_silence_stays_silence(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(1000), 16000)
    run([path], tmp_path / "out", lambda mixtures: np.ones((1, 2, mixtures.shape[1]), np.float32))
    for output in (tmp_path / "out").iterdir():
        np.testing.assert_array_equal(read_audio(output)[0], np.zeros((1, 1000)))


def test_progress_and_the_last_line_tell_seconds_and_the_real_time_factor(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", signals(1, 100_000)[0], MODEL_RATE)
    run([tmp_path / "a.wav"], tmp_path / "out", chunking=Chunking(30_000, 5000))
    captured = capsys.readouterr()
    for stage in ("reading", "separating", "writing"):
        assert f"a.wav: {stage}: " in captured.err
    assert "/12 s of audio [" in captured.err
    (line,) = captured.out.splitlines()
    outputs = f"{tmp_path / 'out' / 'a_s1.wav'}, {tmp_path / 'out' / 'a_s2.wav'}"
    assert line.startswith(f"{tmp_path / 'a.wav'} -> {outputs}  (12.5 s of audio, 0.")
    assert line.endswith(" x real time)")


@pytest.mark.parametrize(("total", "shown"), [(4.0, " 75%|"), (None, "a.wav: reading: 3 s of audio [")])
def test_a_bar_shows_how_time_compares_with_that_of_the_audio(capsys, total, shown):
    bar = ProgressBar("a.wav")
    bar("reading", 1.0, total)
    time.sleep(0.2)  # tqdm draws again only after a while
    bar("reading", 2.0, total)
    drawn = capsys.readouterr().err
    assert shown in drawn
    assert " x real time]" in drawn
    bar.close()


def test_a_dropped_interrupt_is_noticed(monkeypatch):
    pressed = threading.Event()
    pressed.set()
    monkeypatch.setattr("src.command_line.INTERRUPTED", pressed)
    with pytest.raises(KeyboardInterrupt):
        ProgressBar("a.wav")("reading", 1.0, 2.0)


def test_flac_from_a_pipe_tells_no_length_but_has_progress(tmp_path, capsys):
    soundfile.write(tmp_path / "a.flac", signals(1)[0], MODEL_RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0  # STREAMINFO: 36 bits of length; 0: unknown
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(bytes(content))
    run([tmp_path / "a.flac"], tmp_path / "out")
    assert "a.flac: reading: 0 s of audio [" in capsys.readouterr().err
    assert soundfile.info(tmp_path / "out" / "a_s1.wav").frames == T


# what is refused


def bad_files(folder: Path) -> dict[str, Path]:
    """Inputs that cannot be used, by what is said about them."""
    names = ("truncated", "NaN", "unreadable", "no such file", "0 samples", "0 bytes", "between -1 and 1", "rate of 50")
    paths = {name: folder / f"{name}.wav" for name in names}
    soundfile.write(paths["truncated"], 0.1 * signals(1)[0], MODEL_RATE)
    paths["truncated"].write_bytes(paths["truncated"].read_bytes()[:3000])
    soundfile.write(paths["NaN"], np.array([[0.1, np.inf], [np.nan, -np.inf]]), MODEL_RATE, subtype="FLOAT")
    paths["unreadable"].write_text("not a sound\n" * 100)
    soundfile.write(paths["0 samples"], np.zeros(0), MODEL_RATE)
    paths["0 bytes"].touch()
    soundfile.write(paths["between -1 and 1"], np.array([0.1, 1e300]), MODEL_RATE, subtype="DOUBLE")
    soundfile.write(paths["rate of 50"], signals(1)[0], 50)
    return paths


@pytest.mark.filterwarnings("error")
def test_bad_inputs_are_told_and_the_others_go_on(tmp_path, capsys):
    bad = bad_files(tmp_path)
    good = tmp_path / "good.wav"
    soundfile.write(good, signals(1)[0], MODEL_RATE)
    output_dir = tmp_path / "out"
    output_dir.mkdir()
    old = output_dir / "NaN_s1.wav"
    old.write_text("of an earlier run")
    separated = []

    def watched(mixtures):
        separated.append(mixtures.shape)
        return low_and_high(mixtures)

    with pytest.raises(UserError, match="8 of 9 inputs could not be separated, see the lines above"):
        run([*bad.values(), good], output_dir, watched)
    assert separated == [(1, T)]  # the others did not come that far
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == len(bad)
    for line, (words, path) in zip(errors, bad.items(), strict=True):
        assert line.startswith(f"error: {path}: ")
        assert words in line.replace(str(path), "")
    assert names_in(output_dir) == ["NaN_s1.wav", "good_s1.wav", "good_s2.wav"]
    assert old.read_text() == "of an earlier run"


def test_what_the_network_raises_names_the_input_and_leaves_nothing(tmp_path, capsys):
    def fails(_mixtures):
        raise UserError("found no numbers")

    soundfile.write(tmp_path / "a.wav", signals(1)[0], MODEL_RATE)
    with pytest.raises(UserError, match="1 of 1 inputs"):
        run([tmp_path / "a.wav"], tmp_path / "out", fails)
    assert f"error: {tmp_path / 'a.wav'}: found no numbers\n" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_a_rate_that_flac_cannot_store_is_told_before_the_network_works(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", signals(1)[0], 96001)
    with pytest.raises(UserError, match="1 of 1 inputs"):
        run([tmp_path / "a.wav"], tmp_path / "out", lambda _: pytest.fail("separated"), extension="flac")
    assert "a.wav: found a sample rate of 96001 Hz, which flac cannot store" in capsys.readouterr().err


def test_a_file_that_changes_meanwhile_is_told(tmp_path, capsys):
    path = tmp_path / "a.wav"
    soundfile.write(path, signals(1)[0], MODEL_RATE)

    def overwritten(mixtures):
        soundfile.write(path, signals(1)[0][:100], MODEL_RATE)
        return low_and_high(mixtures)

    with pytest.raises(UserError, match="1 of 1 inputs"):
        run([path], tmp_path / "out", overwritten, residual=True)
    assert f"error: {path}: found fewer samples than before" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("extension", ["wav", "flac"])
@pytest.mark.parametrize("stage", ["write", "close"])
@pytest.mark.parametrize("raised", [KeyboardInterrupt, OSError(28, "full")])
def test_tracks_of_one_file_appear_together_or_not_at_all(tmp_path, monkeypatch, extension, stage, raised):
    path = tmp_path / "a.wav"
    soundfile.write(path, signals(1)[0], MODEL_RATE)
    old = tmp_path / f"a_s1.{extension}"
    old.write_text("old")
    sink = track_files._FlacSink if extension == "flac" else track_files._WavSink
    method = {"write": "write", "close": "finish"}[stage]
    original, calls = getattr(sink, method), []

    def fails_at_the_second(self, *arguments):
        calls.append(self)
        if len(set(map(id, calls))) == 2:
            raise raised
        original(self, *arguments)

    monkeypatch.setattr(sink, method, fails_at_the_second)
    with pytest.raises((KeyboardInterrupt, UserError)):
        run([path], tmp_path, extension=extension)
    assert sorted(child.name for child in tmp_path.iterdir()) == ["a.wav", old.name]
    assert old.read_text() == "old"


# several inputs


def test_a_folder_keeps_its_structure(tmp_path):
    for name in ("talk.wav", "day/talk.flac", "day/night/talk.ogg"):
        (tmp_path / "rec" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "rec" / name, signals(1)[0], MODEL_RATE)
    plan = plan_outputs(expand_inputs([str(tmp_path / "rec")])[0], tmp_path / "out", 2)
    separation.separate_each(plan, tmp_path / "out", make_network())
    assert names_in(tmp_path / "out") == sorted(
        f"{folder}talk_s{number}.wav" for folder in ("", "day/", "day/night/") for number in (1, 2)
    )


def test_an_unusable_input_of_a_folder_leaves_no_folder(tmp_path):
    (tmp_path / "rec" / "day").mkdir(parents=True)
    (tmp_path / "rec" / "day" / "a.wav").touch()
    plan = plan_outputs(expand_inputs([str(tmp_path / "rec")])[0], tmp_path / "out", 2)
    with pytest.raises(UserError, match="1 of 1 inputs"):
        separation.separate_each(plan, tmp_path / "out", make_network())
    assert not list((tmp_path / "out").iterdir())
