"""What the tests of the listening report share: results to report on, and a reader for the page."""

import base64
import io
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
from scipy.io import wavfile

from src.metrics import si_snr
from src.report.page import Case
from tests.synthetic import RATE, voice

HOSTILE = "<script>alert(1)</script>\"&'"
WITHOUT_END = {"meta", "link", "img", "input"}


def make_case(title="Best", utterance="u0", seconds=1.0, num_speakers=2, leak=0.1) -> Case:
    """Synthetic voices, and estimates into which everything leaks a little."""
    references = np.stack([voice(100.0 + 40 * c, seconds, seed=c) for c in range(num_speakers)])
    mixture = references.sum(axis=0)
    estimates = (references + leak * mixture).astype(np.float32)
    return Case(title, utterance, RATE, mixture, references, estimates, row_of(utterance, references, estimates))


def row_of(utterance, references, estimates) -> dict[str, str]:
    """The line of per_utterance.csv; STOI and PESQ are any numbers."""
    mixture = references.sum(axis=0)
    before = si_snr(references, np.broadcast_to(mixture, references.shape)).mean()
    after = si_snr(references, estimates).mean()
    people = range(len(references))
    return {
        "id": utterance,
        "num_samples": str(mixture.size),
        "seconds": f"{mixture.size / RATE:.3f}",
        "speakers": ";".join(f"p{c}" for c in people),
        "sexes": ";".join("FM"[c % 2] for c in people),
        "origins": ";".join("voxforge" for _ in people),
        "input_si_snr_db": f"{before:.4f}",
        "si_snr_db": f"{after:.4f}",
        "si_snri_db": f"{after - before:.4f}",
        "sdr_db": f"{after + 1:.4f}",
        "sdri_db": f"{after - before + 0.5:.4f}",
        "stoi": "0.9000",
        "stoi_improvement": "0.2000",
        "pesq": "2.5000",
        "num_chunks": "1",
        "not_scored": "",
    }


def make_summary(**changes) -> dict:
    """A metrics.json with every part that the report knows."""
    group = {"num_utterances": 3, "si_snri_db": 11.5, "sdri_db": 11.9, "si_snri_interval_db": [11.0, 12.0]}
    return {
        "model_path": "runs/a/best.ckpt",
        "data_path": "data/test.mindrecord",
        "num_utterances": 3,
        "num_not_scored": 1,
        "not_scored": {"quiet": "source 2 is silent"},
        "si_snr_db": 12.0,
        "si_snri_db": 11.5,
        "sdr_db": 12.5,
        "sdri_db": 11.9,
        "si_snri_interval_db": [11.0, 12.0],
        "interval_confidence": 0.95,
        "stoi": 0.9,
        "stoi_improvement": 0.2,
        "pesq": 2.5,
        "pesq_improvement": 1.0,
        "pesq_band": "narrow band",
        "num_sources": 6,
        "sources_without": {"stoi": 1, "pesq": 0},
        "chunking": {
            "chunk_seconds": 8.0,
            "overlap_seconds": 2.0,
            "num_longer": 1,
            "num_all": 4,
            "num_compared": 1,
            "chunked_si_snri_db": 10.5,
            "whole_si_snri_db": 10.75,
            "difference_db": -0.25,
        },
        "groups": {"length": {"< 3 s": group}, "sexes": {"FM": group}, "origins": {"voxforge": group}},
        **changes,
    }


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    children: "list[Element | str]" = field(default_factory=list)

    def all(self, name, **attributes):
        """Elements below with this name and these attributes; of `class_` one word is enough."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        for child in self.children:
            if isinstance(child, Element):
                if child.name == name and all(child.has(key, value) for key, value in wanted.items()):
                    yield child
                yield from child.all(name, **attributes)

    def has(self, key, value):
        found = self.attributes.get(key) or ""
        return value in found.split() if key == "class" else found == value

    def one(self, name, **attributes):
        (found,) = self.all(name, **attributes)
        return found

    @property
    def text(self) -> str:
        return " ".join("".join(self.words()).split())

    def words(self):
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield from child.words()


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in WITHOUT_END:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop().name == tag, f"</{tag}> ends another element"

    def handle_data(self, data):
        self.open[-1].children.append(data)


def read_page(page: str) -> Element:
    """The html element; raises where an element is not closed in its place."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert len(reader.open) == 1, f"never closed: {[element.name for element in reader.open[1:]]}"
    return reader.open[0].one("html")


def decode(uri: str | None, kind: str) -> bytes:
    assert uri is not None
    head, _, data = uri.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(data, validate=True)


def clips(card: Element) -> np.ndarray:
    """What the players of a case play: int16 [1 + 2 C, T]."""
    found = []
    for audio in card.all("audio"):
        rate, samples = wavfile.read(io.BytesIO(decode(audio.attributes["src"], "audio/wav")))
        assert rate == RATE
        found.append(samples)
    return np.stack(found)
