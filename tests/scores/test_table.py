"""What the screen shows of a summary."""

import pytest

from src.scores.table import MOST_GROUPS, format_summary


def group(count, gain, interval=None):
    return {
        "num_utterances": count,
        "si_snri_db": gain,
        "si_snri_interval_db": interval,
        "sdri_db": gain + 1,
        "sdri_interval_db": None,
    }


@pytest.fixture
def summary():
    return {
        "num_utterances": 3000,
        "num_not_scored": 0,
        "not_scored_by_reason": {},
        "si_snr_db": 10.0,
        "si_snri_db": 9.875,
        "sdr_db": 10.5,
        "sdri_db": 10.501,
        "stoi": 0.9,
        "stoi_improvement": 0.1234,
        "pesq": 2.5,
        "pesq_improvement": 0.75,
        "si_snri_interval_db": [9.5, 10.125],
        "sdri_interval_db": [-0.001, 10.0],
        "stoi_improvement_interval": [0.1, 0.2],
        "pesq_improvement_interval": None,
        "interval_confidence": 0.95,
        "num_sources": 6000,
        "sources_without": {"stoi": 0, "pesq": 0},
        "pesq_band": "narrow band",
        "no_pesq_because": "",
        "chunking": {"chunk_seconds": 8.0, "num_longer": 12, "num_all": 3000, "num_compared": 0},
        "groups": {
            "length": {"< 3 s": group(1, 1.0), "3 to 5 s": group(2999, 2.0, [1.5, 2.5])},
            "sexes": {},
            "origins": {"a long name+another one": group(5, -1.0)},
        },
    }


def test_scores_of_mixture_and_tracks_with_intervals(summary):
    lines = format_summary(summary).splitlines()
    assert lines[0].split() == ["mixture", "separated", "improvement", "95%", "interval"]
    assert lines[1].split() == ["SI-SNR", "0.12", "dB", "10.00", "dB", "9.88", "dB", "9.50", "to", "10.12"]
    assert lines[2].split() == ["SDR", "0.00", "dB", "10.50", "dB", "10.50", "dB", "0.00", "to", "10.00"]
    assert lines[3].split() == ["STOI", "0.777", "0.900", "0.123", "0.100", "to", "0.200"]
    assert lines[4].split() == ["PESQ", "1.75", "2.50", "0.75", "-"]
    assert len({len(line) for line in lines[:5]}) == 1


def test_groups_in_columns_that_fit_their_names(summary):
    lines = format_summary(summary).splitlines()
    assert lines[5] == ""
    assert lines[6].split() == ["by", "length", "utterances", "SI-SNRi", "95%", "interval", "SDRi", "95%", "interval"]
    assert lines[7].split() == ["<", "3", "s", "1", "1.00", "dB", "-", "2.00", "dB", "-"]
    assert lines[8].split() == ["3", "to", "5", "s", "2999", "2.00", "dB", "1.50", "to", "2.50", "3.00", "dB", "-"]
    assert lines[10].startswith("by origin ")
    assert lines[11].split() == ["a", "long", "name+another", "one", "5", "-1.00", "dB", "-", "0.00", "dB", "-"]
    assert "by sexes" not in "".join(lines)
    for block in (lines[6:9], lines[10:12]):
        assert len({len(line) for line in block}) == 1


def test_of_many_groups_the_largest_are_shown_in_their_order(summary):
    summary["groups"]["origins"] = {f"g{n:02}": group(100 - n if n % 2 else n + 1, 1.0) for n in range(20)}
    lines = format_summary(summary).splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("by origin"))
    shown = [line.split()[0] for line in lines[begin + 1 : begin + 1 + MOST_GROUPS]]
    assert shown == ["g01", "g03", "g05", "g07", "g09", "g11", "g13", "g15", "g16", "g17", "g18", "g19"]
    assert lines[begin + 1 + MOST_GROUPS] == "  … and 8 smaller groups, all in metrics.json"


def test_how_many_were_longer_than_a_chunk(summary):
    assert (
        "12 of 3000 utterances are longer than a chunk of 8 s, and were separated in chunks\n"
        "3000 utterances scored, 0 not\n"
    ) in format_summary(summary)
    summary["chunking"]["num_longer"] = 0
    assert "\nno utterance is longer than a chunk of 8 s: all were separated whole\n" in format_summary(summary)
    summary["chunking"]["chunk_seconds"] = 0.0
    assert "\nall 3000 utterances were separated whole\n" in format_summary(summary)


def test_chunks_beside_the_whole(summary):
    summary["chunking"] |= {
        "num_compared": 11,
        "chunked_si_snri_db": 5.0,
        "whole_si_snri_db": 5.125,
        "difference_db": -0.125,
    }
    line = "SI-SNR improvement of 11 of them: in chunks 5.00 dB, whole 5.12 dB, difference -0.12 dB"
    assert line in format_summary(summary).splitlines()


def test_what_is_missing_is_told_with_its_reason(summary):
    summary |= {"num_not_scored": 3, "not_scored_by_reason": {"source 2 is silent": 2, "source 1 is silent": 1}}
    summary["sources_without"] = {"stoi": 4, "pesq": 5}
    lines = format_summary(summary).splitlines()
    assert lines[-6:-1] == [
        "3000 utterances scored, 3 not",
        "  2 not scored: source 2 is silent",
        "  1 not scored: source 1 is silent",
        "STOI: none for 4 of 6000 sources: too little speech",
        "PESQ: narrow band, none for 5 of 6000 sources: no speech found, or not between 0.25 and 20 s",
    ]


def test_without_pesq_there_is_no_line_of_it_but_why(summary):
    summary |= {"pesq": None, "pesq_improvement": None, "no_pesq_because": "the library is not installed"}
    lines = format_summary(summary).splitlines()
    assert [line for line in lines if "PESQ" in line] == ["PESQ: none: the library is not installed"]


@pytest.mark.parametrize(("gain", "shown"), [(9.875, "9.88"), (0.0, "0.00"), (-0.001, "0.00"), (-1.5, "-1.50")])
def test_the_last_line_is_that_of_the_recipe(summary, gain, shown):
    summary["si_snri_db"] = gain
    assert format_summary(summary).splitlines()[-1] == f"Average SISNR improvement: {shown}"
