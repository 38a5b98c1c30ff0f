#!/usr/bin/env bash
# Scores of a checkpoint on a test set, in the background unless --foreground is given.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bash scripts/run_eval.sh DEVICE_ID MODEL_PATH DATA_DIR [--foreground] [options of evaluate.py ...]

  DEVICE_ID     a whole number; 0 on a CPU
  MODEL_PATH    checkpoint of train.py
  DATA_DIR      folder with test.mindrecord, or a .mindrecord file
  --foreground  show the evaluation, wait for its end and return its exit status
  options       from the first one on, everything goes to evaluate.py: see python evaluate.py --help

The log is eval.log in evaluate.py's --output (runs/evaluate). Its last line is "Average SISNR improvement: 0.00" with
the mean in dB, or "exit status N" after a failure. The same command goes on with an evaluation that was stopped.
Paths are those of the folder from which the command is given. Environment:

  DEVICE_TARGET  CPU, Ascend or GPU (CPU)
  PYTHON         the interpreter (.venv/bin/python if there is one, or else python3)
TEXT
}

# shellcheck source=scripts/jobs.sh
. "$(dirname "${BASH_SOURCE[0]}")/jobs.sh"
split_arguments 3 "$@"
[ ${#positional[@]} -eq 3 ] ||
    wrong "found ${#positional[@]} arguments before the options, expected 3: DEVICE_ID MODEL_PATH DATA_DIR"
device_id=${positional[0]}
model_path=${positional[1]}
data_dir=${positional[2]}
is_whole_number "$device_id" || wrong "DEVICE_ID: found '$device_id', expected a whole number"
[ -f "$model_path" ] || fail "MODEL_PATH: found no file '$model_path', expected a checkpoint of train.py"
[ -e "$data_dir" ] ||
    fail "DATA_DIR: found neither folder nor file '$data_dir', expected what preprocess.py has written"
find_interpreter mindspore
choose_device "$device_id"
choose_output output runs/evaluate
start_job "$output/eval.log" run_to_last_line "$PYTHON" "$ROOT/evaluate.py" --model_path "$model_path" \
    --data_dir "$data_dir" "${device[@]}" "${options[@]}"
