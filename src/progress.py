"""How far a run has come, and whether what is asked for is the run that a checkpoint belongs to."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.config import OPERATIONAL, Config
from src.errors import UserError
from src.health import Health


@dataclass
class Progress:
    """How far a run has come; stored in every checkpoint."""

    epochs_done: int = 0
    batches_done: int = 0  # of one process in the epoch that is going on
    steps_done: int = 0  # updates, those that were skipped included
    loss_sum_db: float = 0.0  # over the updates that were made in the epoch that is going on
    norm_sum: float = 0.0  # of the gradient, over the same
    made: int = 0  # how many those are
    skipped_before: int = 0  # of all skipped updates, those of earlier epochs
    best_si_snri_db: float | None = None  # on the validation set
    seconds: float = 0.0  # of training and validation, over all sittings
    cpu_seconds: float = 0.0  # that all threads of the first process had a core meanwhile
    num_processes: int = 1
    batches_per_epoch: int = 0  # of one process
    train_digest: str = ""  # of the data set
    valid_digest: str = ""
    health: Health = field(default_factory=Health)
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry an epoch

    @property
    def scores_db(self) -> list[float]:
        """The validation SI-SNR improvement after every epoch."""
        return [entry["valid_si_snri_db"] for entry in self.history]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: Path, version: str) -> "Progress":
        """The inverse of `to_dict`. Raises `UserError` for what another version of the program wrote."""
        try:
            return cls(**{**values, "health": Health(**values["health"])})
        except (TypeError, KeyError):
            raise UserError(
                f"{where}: found a run of version {version}, which this one cannot go on with: "
                f"choose another --output_dir, or --restart to begin anew"
            ) from None


def check_same_run(wanted: Config, found: Config, path: Path) -> None:
    """Moved data sets and another interval of saving are the same run; what changes the weights is not: `UserError`."""
    for section in ("model", "data", "training"):
        before = dataclasses.asdict(getattr(found, section))
        for name, value in dataclasses.asdict(getattr(wanted, section)).items():
            if before[name] == value or (section, name) in OPERATIONAL:
                continue
            if name == "epochs" and value > before[name] and _may_be_longer(wanted):
                continue
            reason = " (its cosine, or the pitches that come closer, end with it)" if name == "epochs" else ""
            raise UserError(
                f"{path}: a run with {section}.{name} = {before[name]} was begun here, now it is {value}{reason}: "
                f"choose another --output_dir, or --restart to begin anew"
            )


def _may_be_longer(config: Config) -> bool:
    """Whether the epochs so far would have been the same with more of them to come."""
    return config.training.schedule != "cosine" and config.data.pitch_ratio_first == config.data.pitch_ratio_last


def check_same_data(wanted: Progress, found: Progress, path: Path) -> None:
    """The position in an epoch means the same examples, and scores can be compared, only with the same data.

    Raises `UserError`.
    """
    for name, words in (
        ("num_processes", "number of processes"),
        ("train_digest", "training set"),
        ("valid_digest", "validation set"),
        ("batches_per_epoch", "number of batches in an epoch"),
    ):
        before, now = getattr(found, name), getattr(wanted, name)
        if before != now:
            values = f": {before}, now {now}" if isinstance(now, int) else ""
            raise UserError(
                f"{path}: a run with another {words} was begun here{values}: use the same, choose another "
                f"--output_dir, or --restart to begin anew"
            )
