#!/usr/bin/env bash
# Training in one process, in the background unless --foreground is given.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bash scripts/run_standalone_train.sh [DEVICE_ID] [--foreground] [options of train.py ...]

  DEVICE_ID     a whole number (0)
  --foreground  show the training, wait for its end and return its exit status
  options       from the first one on, everything goes to train.py: see python train.py --help

The log is train.log in train.py's --output_dir (runs/train); its last line is "exit status N".
Paths are those of the folder from which the command is given. Environment:

  DEVICE_TARGET  CPU, Ascend or GPU (CPU)
  PYTHON         the interpreter (.venv/bin/python if there is one, or else python3)
TEXT
}

# shellcheck source=scripts/jobs.sh
. "$(dirname "${BASH_SOURCE[0]}")/jobs.sh"
split_arguments 1 "$@"
device_id=${positional[0]-0}
is_whole_number "$device_id" || wrong "DEVICE_ID: found '$device_id', expected a whole number"
find_interpreter mindspore
choose_device "$device_id"
choose_output output-dir runs/train
refuse_second_run
start_job "$output/train.log" run_single "$PYTHON" "$ROOT/train.py" "${device[@]}" "${options[@]}"
