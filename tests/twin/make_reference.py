"""Store the twin's results, so that everyday tests need no PyTorch.

    python -m tests.twin.make_reference

Writes tests/twin/stored/<case>.npz in float32. Run it again when a case, its weights or the twin changes;
`tests/test_parity.py` tells when the files are out of date.
"""

from pathlib import Path

import numpy as np

from tests.twin import cases, reference
from tests.twin.cases import Arrays


def main() -> None:
    for case in cases.CASES.values():
        _store(case.stored, reference.forward_and_gradient(case, reference.make_twin(case)))
    _store(cases.TRAINING_CASE.stored, reference.train(cases.TRAINING_CASE))


def _store(path: Path, results: Arrays) -> None:
    path.parent.mkdir(exist_ok=True)
    aside = path.with_suffix(".partial.npz")
    np.savez_compressed(aside, **{name: value.astype(np.float32) for name, value in results.items()})
    aside.replace(path)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
