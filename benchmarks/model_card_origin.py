"""What benchmarks/model_card.py says of the network, its data and its training: Markdown from what was read."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.contenders import markdown_table
from benchmarks.model_card_sources import (
    MISSING,
    Person,
    RunFolder,
    Sources,
    changed_settings,
    persons_of,
    read_manifests,
    shown,
)
from src.report.markup import SEXES, plural

NUM_EPOCHS = 8  # of a run, in a table
SPLITS = {"train": "training", "valid": "choosing the checkpoint", "test": "test"}


def network(sources: Sources) -> list[str]:
    """Sizes, file and speed."""
    found = sources.network
    model = found.config.model
    kind = "moving average of the weights" if found.progress.get("weights") == "average" else "weights as trained"
    rows = [
        ("task", f"{model.num_speakers} people who talk at once -> one track each, at {model.sample_rate} Hz"),
        ("network", "gated dual-path recurrent network of Nachmani, Adi and Wolf 2020 (arXiv 2003.01531)"),
        ("sizes", f"N={model.num_filters}, L={model.kernel_size}, H={model.hidden_size}, R={model.num_pairs}, "
                  f"K={model.resolved_chunk_frames}"),
        ("parameters", f"{found.num_parameters:,}"),
        ("file", f"`{shown(found.path)}`, {found.num_bytes / 1e6:.2f} MB, {kind} stored as {found.stored_as}"),
        ("SHA-256", f"`{found.sha256}`"),
        ("trained with", f"version {found.progress.get('trained_with', 'unknown')}, published with {found.version}"),
        ("speed", _speed(sources.speed)),
    ]  # fmt: skip
    return [markdown_table(["", ""], rows)]


def _speed(speed: Mapping[str, Any] | None) -> str:
    if speed is None:
        return MISSING
    times, seconds = speed["separation_seconds"], speed["audio_seconds"]
    return (
        f"real-time factor {statistics.median(times) / seconds:.3f} on {plural(speed['cores'], 'core')} of "
        f"{speed['processor']} (median of {len(times)} times {seconds:g} s, {speed['measured']}); "
        f"{speed['peak_memory_mb']} MB of memory at most"
    )


def limits(sources: Sources) -> list[str]:
    """What follows from what it was trained and measured on."""
    model = sources.network.config.model
    languages = {name: _languages(sources, name) for name in ("train", "test")}
    return [
        f"- For recordings of {model.num_speakers} people whose voices overlap, to hear or to transcribe each of them, "
        f"and to try this program without training.",
        f"- It always gives {model.num_speakers} tracks, however many people speak: of more some share a track.",
        f"- The tracks have nothing above {model.sample_rate / 2000:g} kHz.",
        f"- Languages of the training persons: {languages['train']}; of the test persons: {languages['test']}.",
        "- Measured are the test sets under Scores, trained was what is under Training. Nothing is known of other "
        "conditions, such as music, children's voices, whispering, or rooms and noises that are not named there.",
        "- A track that gained little still holds both voices. Do not take the tracks for evidence of who said what.",
        "- Take a recording apart only where all who speak in it would agree, or the law lets you.",
    ]


def _languages(sources: Sources, split_name: str) -> str:
    people = [person for person in sources.persons if person.get("split") == split_name]
    found = sorted({language for person in people for language in person.get("language").split()})
    return ", ".join(found) or "not told by the corpora"


def corpora(sources: Sources) -> list[str]:
    """Who was heard, under which licences, and how many mixtures of them there were."""
    lines = []
    for split_name, what in SPLITS.items():
        lines += _corpus_table(sources, split_name, what)
    if not sources.persons:
        lines += ["**Persons and licences: missing, no corpus was given.**", ""]
    for split_name in ("train", "valid"):
        lines.append(_mixtures(sources, split_name))
    return lines


def _corpus_table(sources: Sources, split_name: str, what: str) -> list[str]:
    """A row for each corpus, package and licence; of the training and validation sets only who was in them."""
    used, is_known = persons_of(sources, split_name) if split_name != "test" else (set(), False)
    if split_name == "test":
        used, is_known = {person for each in sources.scores for person in each.persons}, bool(sources.scores)
    people = [person for person in sources.persons if person.get("split") == split_name]
    if is_known:
        people = [person for person in sources.persons if person.get("speaker") in used]
    if not people:
        return []
    found: dict[tuple[str, str, str], list[Person]] = {}
    for person in people:
        origin = person.get("package") or person.get("source")
        found.setdefault((person.corpus, origin, person.get("licence")), []).append(person)
    rows = [
        [corpus, origin or "not told", _people(members), _total(members, "num_utterances"), _minutes(members), licence
         or "**not told**"]
        for (corpus, origin, licence), members in found.items()
    ]  # fmt: skip
    lines = [f"For {what}:", ""]
    lines += [markdown_table(["corpus", "package or source", "persons", "utterances", "minutes", "licence"], rows), ""]
    if missing := sorted(used - {person.get("speaker") for person in people}):
        lines += [f"**In no corpus that was given, so without a licence here: {', '.join(missing)}.**", ""]
    return lines


def _people(members: Sequence[Person]) -> str:
    """Such as `3 (2 female, 1 male)`."""
    counts: dict[str, int] = {}
    for person in members:
        sex = SEXES.get(person.get("sex"), "unknown")
        counts[sex] = counts.get(sex, 0) + 1
    return f"{len(members)} ({', '.join(f'{count} {sex}' for sex, count in sorted(counts.items()))})"


def _total(members: Sequence[Person], column: str) -> str:
    values = [person.get(column) for person in members]
    return f"{sum(map(float, values)):.0f}" if all(values) else "not told"


def _minutes(members: Sequence[Person]) -> str:
    seconds = _total(members, "seconds")
    return seconds if seconds == "not told" else f"{float(seconds) / 60:.0f}"


def _mixtures(sources: Sources, split_name: str) -> str:
    manifests = read_manifests(sources.runs, split_name)
    kind = {"train": "Training", "valid": "Validation"}[split_name]
    if manifests is None:
        return f"{kind} mixtures: not known, the runs' manifests are not there."
    persons, _ = persons_of(sources, split_name)
    lengths = {  # runs may share mixtures
        (each.id, each.num_samples): each.num_samples / manifest.sample_rate / 3600
        for manifest in manifests
        for each in manifest.utterances
    }
    count, hours = len(lengths), sum(lengths.values())
    end = ""
    if split_name == "train" and any(run.config.data.dynamic_mixing for run in sources.runs):
        end = "; the network heard their sources in mixtures made anew in every epoch"
    return f"{kind} mixtures: {count}, {hours:.1f} h, of {plural(len(persons), 'person')}{end}."


def training(sources: Sources) -> list[str]:
    """Hours, updates, machine, commands and settings of the runs."""
    heads = [
        "run",
        "epochs",
        "updates",
        "hours of mixtures heard",
        "hours by the clock",
        "CPU hours",
        "best validation",
    ]
    lines = [markdown_table([*heads], [_run_row(run) for run in sources.runs]), ""]
    lines += [
        "Hours are those of training and validation. By the clock they count other work of the machine and pauses of "
        "the process too; CPU hours are what all its threads have used.",
        "",
        _published(sources),
        "",
    ]
    lines += [f"Machine: {machine}." for machine in _machines(sources.runs)]
    lines += ["", "Commands:", "", "```bash", *_commands(sources), "```", ""]
    for run in sources.runs:
        lines += [f"Validation of `{shown(run.path)}` in the course of training:", "", _course(run), ""]
        lines += ["What its configuration changes (`src/config.py` explains every key and has the defaults):", ""]
        lines += ["```yaml", *_settings(run), "```", ""]
    return lines[:-1]


def _run_row(run: RunFolder) -> list[str]:
    if not run.history:
        return [f"`{shown(run.path)}`", "0", "0", "0", "0", "0", "none"]
    last, config = run.history[-1], run.config
    examples = last["step"] * config.training.batch_size * config.training.accumulation * run.num_processes
    best = max(entry["valid_si_snri_db"] for entry in run.history)
    cpu = "not counted" if run.cpu_hours is None else f"{run.cpu_hours:.1f}"
    if run.cpu_hours is not None and run.num_processes > 1:
        cpu = f"about {run.cpu_hours * run.num_processes:.1f}: {cpu} in the first of {run.num_processes} processes"
    return [
        f"`{shown(run.path)}`",
        str(last["epoch"]),
        f"{last['step']:,}",
        f"{examples * config.data.segment_seconds / 3600:.1f}",
        f"{last['seconds'] / 3600:.1f}",
        cpu,
        f"{best:.2f} dB",
    ]


def _published(sources: Sources) -> str:
    for run in sources.runs:
        if run.published:
            name, epoch = run.published
            return f"The weights are those of `{shown(run.path)}/{name}`, after epoch {epoch}."
    return "**From which file of these runs the weights were taken cannot be seen: none holds them any more.**"


def _machines(runs: Sequence[RunFolder]) -> list[str]:
    """As the runs wrote them down, each once."""
    found = [
        f"{plural(sitting['cores'], 'core')} of {sitting['processor']}, "
        f"{plural(sitting['processes'], 'process')}".replace("processs", "processes")
        for run in runs
        for sitting in run.sittings
    ]
    return list(dict.fromkeys(found)) or ["not written down by the runs"]


def _commands(sources: Sources) -> list[str]:
    """From the data to the scores."""
    lines = ["# data"]
    lines += [shown(line) for line in sources.preparation.strip().splitlines()] or ["# not written down"]
    lines.append("# training")
    commands = dict.fromkeys(shown(each["command"]) for run in sources.runs for each in run.sittings if each["command"])
    lines += list(commands) or ["# not written down by the runs"]
    checkpoint = shown(sources.network.path)
    lines.append("# publishing and scores")
    origin = next((run for run in sources.runs if run.published), None)
    if origin is not None and origin.published is not None:
        float32 = " --float32" if sources.network.stored_as == "float32" else ""
        lines.append(f"python -m src.publish {shown(origin.path)}/{origin.published[0]} {checkpoint}{float32}")
    for each in sources.scores:
        data = shown(each.summary["data_path"])
        lines.append(f"python evaluate.py --model_path {checkpoint} --data-dir {data} --output {shown(each.folder)}")
    return lines


def _course(run: RunFolder) -> str:
    """Some epochs, from the first to the last, and the best."""
    if not run.history:
        return "none yet"
    count = len(run.history)
    places = {round(place * (count - 1) / max(1, NUM_EPOCHS - 1)) for place in range(NUM_EPOCHS)}
    places.add(max(range(count), key=lambda place: run.history[place]["valid_si_snri_db"]))
    rows = [
        [
            str(entry["epoch"]),
            f"{entry['step']:,}",
            f"{entry['seconds'] / 3600:.2f}",
            f"{entry['valid_si_snri_db']:.2f}",
        ]
        for entry in (run.history[place] for place in sorted(places))
    ]
    return markdown_table(["epoch", "updates", "hours by the clock", "SI-SNRi, dB"], rows)


def _settings(run: RunFolder) -> list[str]:
    lines = []
    for section, values in changed_settings(run.config).items():
        if values:
            lines += [f"{section}:", *(f"  {key}: {_yaml(value)}" for key, value in values.items())]
    return lines or ["{}"]


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else shown(str(value))
