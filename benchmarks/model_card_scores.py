"""Scores and failures in benchmarks/model_card.py: Markdown from evaluations."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.contenders import markdown_table
from benchmarks.model_card_groups import (
    FAILED_DB,
    KINDS,
    Group,
    chain_label,
    groups,
    in_common,
    interval_told,
    level_difference_db,
    pair_label,
    pitch_ratio,
    worst,
)
from benchmarks.model_card_sources import MISSING, Scores, Sources, persons_of, split
from src.report.markup import plural
from src.scores.summary import ACROSS, WITHIN

MOST_PAIRS = 12  # of persons, in a table
NUM_WORST = 5  # mixtures, in a table


def scores(sources: Sources) -> list[str]:
    """A row for each test set, and for small ones the pairs of persons."""
    if not sources.scores:
        return [f"**{MISSING.capitalize()}.**"]
    heads = ["test set", "mixtures", "persons", "SI-SNRi, dB", "across recording chains", "within one chain"]
    heads += ["SDRi, dB", "STOI, mixture to separated"]
    lines = [
        "Mean improvements over the mixture of whole utterances, each the mean over its speakers, with 95 % intervals",
        "by bootstrap over mixtures; in parentheses how many mixtures. The intervals tell what other sentences of the",
        "same persons would change, not what other persons would. A package of recordings stands for a chain,",
        "which is not always right: one may hold recordings of several microphones, and two may come from one studio.",
        "",
        markdown_table(heads, [_score_row(each) for each in sources.scores]),
    ]
    for each in sources.scores:
        if pairs := _pairs(each):
            lines += ["", *pairs]
    lines += ["", *_heard_before(sources)]
    return lines


def _score_row(each: Scores) -> list[str]:
    chains = {group.name: group for group in groups(each.rows, "", chain_label)}
    summary = each.summary
    stoi = (
        f"{summary['stoi'] - summary['stoi_improvement']:.3f} to {summary['stoi']:.3f}" if summary["stoi"] else MISSING
    )
    return [
        each.name,
        str(len(each.rows)),
        str(len(each.persons)),
        interval_told([float(row["si_snri_db"]) for row in each.rows]),
        *(f"{interval_told(chains[name].values_db)} ({len(chains[name].values_db)})" if name in chains else "none"
          for name in (ACROSS, WITHIN)),
        interval_told([float(row["sdri_db"]) for row in each.rows]),
        stoi,
    ]  # fmt: skip


def _pairs(each: Scores) -> list[str]:
    """What every pair of persons gains, where they are few."""
    pairs = groups(each.rows, "", pair_label)
    if not 1 < len(pairs) <= MOST_PAIRS:
        return []
    sexes = {person: sex for row in each.rows for person, sex in _sexes_of(row)}
    rows = [
        [
            " with ".join(f"{person} ({sexes[person]})" if sexes.get(person) else person for person in _members(pair)),
            str(len(pair.values_db)),
            interval_told(pair.values_db),
        ]
        for pair in sorted(pairs, key=lambda pair: -pair.mean_db)
    ]
    return [f"{each.name}, by pair of persons:", "", markdown_table(["pair", "mixtures", "SI-SNRi, dB"], rows)]


def _members(pair: Group) -> list[str]:
    return pair.name.split(" + ")


def _sexes_of(row: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return zip(split(row, "speakers"), split(row, "sexes"))  # noqa: B905 (the sexes may be unknown)


def _heard_before(sources: Sources) -> list[str]:
    """Whether persons of the test sets were in training, or chose the checkpoint."""
    heard, is_known = persons_of(sources, "train")
    chose, also_known = persons_of(sources, "valid")
    lines = []
    for each in sources.scores:
        for names, what in ((heard, "in the training set"), (chose, "in the validation set")):
            if both := sorted(set(each.persons) & names):
                lines.append(f"**{each.name}: {', '.join(both)} {'is' if len(both) == 1 else 'are'} {what} too.**")
    if lines:
        return lines
    if is_known and also_known:
        return [
            f"No person of these sets is among the {len(heard)} of the training set or the {len(chose)} of the "
            f"validation set (compared by name)."
        ]
    return ["Whether a person of these sets was in training is not known: the runs' manifests are not there."]


def failures(sources: Sources) -> list[str]:
    """For each test set what the worst mixtures have in common."""
    if not sources.scores:
        return [f"**{MISSING.capitalize()}.**"]
    lines: list[str] = []
    for each in sources.scores:
        lines += [f"### {each.name}", "", *_failures(each), ""]
    return lines[:-1]


def _failures(each: Scores) -> list[str]:
    rows = each.rows
    last = worst(rows)
    failed = sum(float(row["si_snri_db"]) < FAILED_DB for row in rows)
    lines = [
        f"{failed} of {len(rows)} mixtures gain less than {FAILED_DB:g} dB. The worst tenth, "
        f"{plural(len(last), 'mixture')}, gains {float(last[0]['si_snri_db']):.2f} to "
        f"{float(last[-1]['si_snri_db']):.2f} dB. {_told_in_common(in_common(rows), len(last), len(rows))}",
        "",
    ]
    table = [_group_row(group, len(last), len(rows)) for kind in KINDS for group in groups(rows, kind)]
    heads = ["mixtures", "number", "SI-SNRi, dB", f"below {FAILED_DB:g} dB", "of all", "of the worst tenth"]
    lines += [markdown_table(heads, table), ""]
    if missing := [kind for kind in KINDS if not groups(rows, kind)]:
        lines += [f"Not known of these mixtures: {', '.join(missing)}.", ""]
    heads = ["worst mixtures", "SI-SNRi, dB", "persons", "pitch ratio", "level difference", "seconds"]
    return [*lines, markdown_table(heads, [_worst_row(row) for row in last[:NUM_WORST]])]


def _told_in_common(telling: Sequence[Group], num_worst: int, num_all: int) -> str:
    if not telling:
        return "They have nothing of the table below clearly more often than the others."
    shares = [
        f"{group.title} ({group.num_worst / num_worst:.0%}, against {len(group.values_db) / num_all:.0%} of all)"
        for group in telling
    ]
    return f"What they have more often than others: {'; '.join(shares)}."


def _group_row(group: Group, num_worst: int, num_all: int) -> list[str]:
    return [
        group.title,
        str(len(group.values_db)),
        interval_told(group.values_db),
        f"{group.failed_share:.0%}",
        f"{len(group.values_db) / num_all:.0%}",
        f"{group.num_worst / num_worst:.0%}",
    ]


def _worst_row(row: Mapping[str, str]) -> list[str]:
    ratio, difference = pitch_ratio(dict(row)), level_difference_db(dict(row))
    return [
        row["id"],
        f"{float(row['si_snri_db']):.2f}",
        ", ".join(f"{person} ({sex})" if sex else person for person, sex in _sexes_of(row)) or row.get("speakers", ""),
        "not known" if ratio is None else f"{ratio:.2f}",
        "not known" if difference is None else f"{difference:.1f} dB",
        f"{float(row['seconds']):.1f}",
    ]
