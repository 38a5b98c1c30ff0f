"""Set-up for all tests: MindSpore's environment, and a tiny data set made by the real chain."""

from pathlib import Path

import pytest

from src.runtime import prepare_environment

prepare_environment()  # before any test module imports mindspore


@pytest.fixture(scope="session")
def bfloat16_runs() -> None:
    """Skips the test where the compiled operators are missing, or the processor has no products in bfloat16."""
    from src.kernels.library import find_library, load_library

    library = find_library()
    if library is None:
        pytest.skip("found no compiled operators, which bfloat16 needs")
    if not load_library(library).HalfMultiple():
        pytest.skip("found a processor without products in bfloat16")


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus folder of synthetic voices: 3 persons in train, 2 in valid, 2 in test."""
    from tests.synthetic import write_corpus

    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def tiny_librimix(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libri2Mix made from it: 12 training, 4 validation and 5 test mixtures."""
    from src.data.librimix import generate

    output = tmp_path_factory.mktemp("librimix")
    generate(tiny_corpus, output, 2, {"train": 12, "valid": 4, "test": 5}, seed=0)
    return output / "Libri2Mix"


@pytest.fixture(scope="session")
def tiny_records(tiny_librimix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train.mindrecord, valid.mindrecord and test.mindrecord of it."""
    import preprocess

    output = tmp_path_factory.mktemp("records")
    preprocess.main(["--in-dir", str(tiny_librimix), "--out-dir", str(output), "--sample-rate", "8000"])
    return output
