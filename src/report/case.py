"""One utterance of the listening report: its tracks to hear and to see, and what is known of it.

Letters in shapes: C speakers, T samples, N tracks (the mixture, then reference and estimate of each speaker).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.audio import PCM16_SCALE
from src.metrics import si_snr
from src.report.markup import MISSING, SEXES, Markup, clock, decibels, join, number, places, signed, tag
from src.report.pictures import FLOOR_DB, MAGMA, spectrogram_uri, spectrum, wav_uri, waveform_path

MOST_SECONDS = 20.0  # of a clip; what is longer would make the page too large to pass on
ACTIVITY_SECONDS = 0.1  # the grid on which the excerpt of a longer one is chosen
COLORS = 5  # speakers with a colour of their own in the style sheet; after them the colours begin again
FULL_SCALE = (PCM16_SCALE - 1) / PCM16_SCALE  # the largest positive sample of 16 bits

Samples = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Case:
    """One utterance to listen to.

    Attributes:
        title: such as "Best".
        id: of the utterance.
        sample_rate: in Hz.
        mixture: [T], full scale at 1.0.
        references: [C, T].
        estimates: [C, T], in the references' order and the mixture's scale.
        row: its line of per_utterance.csv.

    Raises:
        ValueError: shapes do not fit each other, or there are no samples, or NaN or infinite ones.
    """

    title: str
    id: str
    sample_rate: int
    mixture: Samples
    references: Samples
    estimates: Samples
    row: dict[str, str]

    def __post_init__(self) -> None:
        shapes = self.mixture.shape, self.references.shape, self.estimates.shape
        if len(shapes[0]) != 1 or not self.references.size or shapes[1] != shapes[2] or shapes[1][1:] != shapes[0]:
            raise ValueError(f"{self.id}: expected shapes [T], [C, T] and [C, T]. Found: {shapes}")
        if not all(np.isfinite(samples).all() for samples in (self.mixture, self.references, self.estimates)):
            raise ValueError(f"{self.id}: expected finite samples. Found: NaN or infinity")


@dataclass(frozen=True)
class Track:
    """A lane of the player."""

    name: str
    who: str  # "" for the mixture
    details: str
    color: str  # a class of the style sheet
    samples: Samples  # [t], as they are played


@dataclass(frozen=True)
class Excerpt:
    """What is played and shown: samples `start` to `stop`, times `factor`."""

    start: int
    stop: int
    factor: float


def case_card(case: Case, place: int) -> Markup:
    """The whole card; `place` numbers the cards of a page from 1."""
    excerpt = choose_excerpt(case)
    tracks = _tracks(case, excerpt)
    seconds = (excerpt.stop - excerpt.start) / case.sample_rate
    heading = tag(
        "h3", tag("span", case.title, class_="badge"), " ", tag("span", case.id, class_="id"), id=f"case-{place}"
    )
    notes = [tag("p", note, class_="note") for note in _notes(case, excerpt)]
    return tag(
        "article",
        tag("header", heading, tag("p", _people(case), class_="soft"), _facts(case.row), *notes),
        _transport(tracks, seconds),
        tag("div", *_lanes(tracks, case.sample_rate), class_="lanes"),
        _legend(),
        class_="card case",
        data_seconds=f"{seconds:.6f}",
        aria_labelledby=f"case-{place}",
    )


def choose_excerpt(case: Case) -> Excerpt:
    """All of it, or the 20 seconds in which the speaker who says least says most; never louder than full scale."""
    most = round(MOST_SECONDS * case.sample_rate)
    start = _liveliest(case.references, most, round(ACTIVITY_SECONDS * case.sample_rate))
    stop = min(start + most, case.mixture.size)
    clips = (case.mixture[start:stop], case.references[:, start:stop], case.estimates[:, start:stop])
    peak = max(float(np.abs(clip).max()) for clip in clips)
    return Excerpt(start, stop, 1.0 if peak <= 1.0 else FULL_SCALE / peak)


def _liveliest(references: Samples, length: int, step: int) -> int:
    """Where `length` samples begin that hold the largest least share of a speaker's energy; 0 if all fit."""
    if references.shape[1] <= length:
        return 0
    energy = np.cumsum(np.square(references, dtype=np.float64), axis=1)  # [C, T]
    shares = energy / np.maximum(energy[:, -1:], np.finfo(np.float64).tiny)
    starts = np.arange(0, references.shape[1] - length + 1, step)
    before = np.where(starts > 0, shares[:, starts - 1], 0.0)  # [C, starts]
    heard = shares[:, starts + length - 1] - before
    return int(starts[heard.min(axis=0).argmax()])


def _notes(case: Case, excerpt: Excerpt) -> list[str]:
    notes = []
    if excerpt.stop - excerpt.start < case.mixture.size:
        times = [clock(sample / case.sample_rate) for sample in (excerpt.start, excerpt.stop, case.mixture.size)]
        notes.append(
            f"Shown from {times[0]} to {times[1]} of {times[2]}, where every speaker says most. "
            "The scores are of the whole utterance."
        )
    if excerpt.factor < 1.0:
        notes.append(
            f"All clips of this utterance are played {decibels(-20 * np.log10(excerpt.factor), 1)} quieter "
            f"(times {excerpt.factor:.3g}), because at least one of them exceeds full scale."
        )
    return notes


def _tracks(case: Case, excerpt: Excerpt) -> list[Track]:
    """The mixture, and reference and estimate of one speaker after the other."""
    part, factor = slice(excerpt.start, excerpt.stop), excerpt.factor
    scores = si_snr(case.references, case.estimates)  # [C], of the whole utterance
    before = si_snr(case.references, np.broadcast_to(case.mixture, case.references.shape))
    tracks = [Track("Mixture", "", "what the network hears", "mixture", factor * case.mixture[part])]
    for c, (reference, estimate) in enumerate(zip(case.references, case.estimates, strict=True)):
        who, details = person(case.row, c)
        improved = f"SI-SNR {places(scores[c], 1)} dB ({signed(scores[c] - before[c], 1)})"
        color = f"speaker-{c % COLORS + 1}"
        tracks.append(Track("Reference", who, details or "the voice alone", color, factor * reference[part]))
        scored = improved if np.isfinite(scores[c]) else "the reference is silent"
        tracks.append(Track("Estimate", who, scored, color, factor * estimate[part]))
    return tracks


def person(row: Mapping[str, str], place: int) -> tuple[str, str]:
    """Name of a speaker, and sex and corpus where the table's line tells them."""
    name = _of_speaker(row, "speakers", place) or f"Speaker {place + 1}"
    sex = _of_speaker(row, "sexes", place)
    return name, ", ".join(filter(None, (SEXES.get(sex, sex), _of_speaker(row, "origins", place))))


def _of_speaker(row: Mapping[str, str], column: str, place: int) -> str:
    values = (row.get(column) or "").split(";")
    return values[place] if place < len(values) else ""


def _people(case: Case) -> str:
    people = [person(case.row, c) for c in range(len(case.references))]
    told = [f"{name} ({details})" if details else name for name, details in people]
    spoken = " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
    return f"{spoken}; {places(case.mixture.size / case.sample_rate, 1)} s at {case.sample_rate} Hz"


def _facts(row: Mapping[str, str]) -> Markup | None:
    """Scores of the utterance, each the mean over its speakers."""
    known = (
        ("SI-SNR of the mixture", decibels(number(row, "input_si_snr_db"))),
        ("SI-SNR", decibels(number(row, "si_snr_db"))),
        ("SI-SNR improvement", decibels(number(row, "si_snri_db"))),
        ("SDR", decibels(number(row, "sdr_db"))),
        ("SDR improvement", decibels(number(row, "sdri_db"))),
        ("STOI", places(number(row, "stoi"), 3)),
        ("PESQ", places(number(row, "pesq"))),
        ("Chunks", places(number(row, "num_chunks"), 0)),
    )
    facts = [tag("div", tag("dt", name), tag("dd", value)) for name, value in known if value != MISSING]
    return tag("dl", *facts, class_="facts") if facts else None


def _transport(tracks: list[Track], seconds: float) -> Markup:
    """One player for all tracks. It needs the page's script, which takes `hidden` away."""
    button = tag("button", "Play", type="button", class_="play", aria_label=f"Play {label(tracks[0])}")
    slider = tag(
        "input",
        type="range",
        class_="scrubber",
        min=0,
        max=f"{seconds:.6f}",
        step="any",
        value=0,
        aria_label="Position",
    )
    now = tag(
        "p", tag("span", label(tracks[0]), class_="now"), " ", tag("span", places(0, 1), class_="time"),
        f" / {places(seconds, 1)} s",
    )  # fmt: skip
    ticks = [tag("span", text, style=f"left:{at:.2f}%") for at, text in time_ticks(seconds)]
    hint = f"Keys 1 to {len(tracks)} switch between the tracks, the space bar plays, arrows move."
    return tag(
        "div",
        tag("div", button, now, class_="controls"),
        tag("div", slider, tag("div", *ticks, class_="ticks", aria_hidden="true"), class_="track-time"),
        tag("p", hint, class_="hint"),
        class_="transport",
        hidden=True,
    )


def time_ticks(seconds: float) -> list[tuple[float, str]]:
    """Where labels stand under a track, in percent, and their text; at most 11 of them."""
    step = next((step for step in (0.1, 0.2, 0.5, 1.0, 2.0) if seconds / step <= 10), 5.0)
    digits = 0 if step >= 1 else 1
    count = int(seconds / step + 1e-9) + 1
    return [(100 * k * step / seconds, f"{places(k * step, digits)} s") for k in range(count)]


def label(track: Track) -> str:
    """A track's name that says all."""
    return f"{track.name} of {track.who}" if track.who else track.name


def _lanes(tracks: list[Track], sample_rate: int) -> list[Markup]:
    """All lanes, drawn to one scale of loudness and one of colour."""
    full_scale = max(float(np.abs(track.samples).max()) for track in tracks) or 1.0
    spectra = [spectrum(track.samples, sample_rate) for track in tracks]
    loudest = max(float(magnitudes.max()) for magnitudes in spectra)
    return [
        _lane(track, place, sample_rate, full_scale, spectrogram_uri(magnitudes, loudest))
        for place, (track, magnitudes) in enumerate(zip(tracks, spectra, strict=True), start=1)
    ]


def _lane(track: Track, place: int, sample_rate: int, full_scale: float, spectrogram: str) -> Markup:
    key = tag("kbd", place, aria_hidden="true") if place <= 9 else None
    name = join(tag("span", class_="dot"), tag("span", track.name, class_="what"), key)
    pick = tag(
        "button", name, type="button", class_="pick", aria_pressed="false", aria_label=label(track), disabled=True
    )
    who = tag("p", tag("strong", track.who) if track.who else None, " " if track.who else None, track.details)
    audio = tag(
        "audio", controls=True, preload="metadata", src=wav_uri(track.samples, sample_rate), aria_label=label(track)
    )
    return tag(
        "div",
        tag("div", pick, who, audio, class_="lane-label"),
        _picture(track, sample_rate, full_scale, spectrogram),
        class_=f"lane {track.color} {track.name.lower()}",
    )


def _picture(track: Track, sample_rate: int, full_scale: float, spectrogram: str) -> Markup:
    seconds, kilohertz = track.samples.size / sample_rate, places(sample_rate / 2000, 1).removesuffix(".0")
    wave = tag(
        "svg",
        tag("path", d=waveform_path(track.samples, full_scale)),
        class_="wave", viewBox="0 -100 1000 200", preserveAspectRatio="none", aria_hidden="true",
    )  # fmt: skip
    told = f"Spectrogram of {label(track)}: {places(seconds, 1)} s, 0 to {kilohertz} kHz"
    image = tag("img", src=spectrogram, alt=told, draggable="false")
    scale = join(
        tag("span", f"{kilohertz} kHz", class_="kilohertz high", aria_hidden="true"),
        tag("span", "0", class_="kilohertz low", aria_hidden="true"),
    )
    return tag(
        "div", wave, tag("div", image, scale, class_="spectrogram"), tag("div", class_="playhead"), class_="picture"
    )


def _legend() -> Markup:
    colors = tag(
        "span", class_="scale", style=f"background:linear-gradient(to right,{','.join(f'#{c}' for c in MAGMA)})"
    )
    return tag(
        "p",
        "Waveforms and colours have one scale in all tracks. ",
        tag("span", f"{places(FLOOR_DB, 0)} dB ", colors, " 0 dB", class_="colors"),
        class_="legend",
    )
