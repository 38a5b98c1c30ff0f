"""Set-up for all tests: MindSpore's environment, before any test module imports it."""

from src.runtime import prepare_environment

prepare_environment()
