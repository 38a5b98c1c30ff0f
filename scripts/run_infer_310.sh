#!/usr/bin/env bash
# Scores of an exported network on a test set, separated by the C++ program in ascend310_infer.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bash scripts/run_infer_310.sh MINDIR_PATH TEST_PATH NEED_PREPROCESS [DEVICE] [options]

  MINDIR_PATH      model of export.py, with its description MINDIR_PATH.json beside it
  TEST_PATH        a .mindrecord file, a folder with test.mindrecord, or a folder of audio files as preprocess.py
                   reads them (LibriMix, or {tr,cv,tt}/{mix,s1,s2}), of which the test split is taken
  NEED_PREPROCESS  y: write the program's inputs first; n: those that an earlier run has left in the output folder,
                   if they are of this test set
  DEVICE           cpu or ascend (ascend where npu-smi or /dev/davinci* is there, or else cpu)
  --output DIR     for inputs, outputs, logs and results ($OUTPUT, or runs/infer310)
  --threads N      of the program on a cpu
  --engine NAME    fused or mindspore, of the program on a cpu (fused)
  --amp NAME       none or bfloat16, of the engine fused (none)
  --batch N        chunks that the program separates at the same time
  --device-id N    which Ascend device
  --test-name NAME, --sample-rate HZ, --mixture-type TYPE
                   of the test set: see python preprocess.py --mode infer310 --help

Four stages: preprocess (or check), build, infer, score, each with its own log NAME.log in the output folder, where
inputs, outputs, per_utterance.csv and metrics.json are too. The first that fails ends the run with its exit status.
What is finished is used again by the same command. The last line is "Average SISNR improvement: 0.00" with the mean in dB.
Paths are those of the folder from which the command is given. Environment:

  OUTPUT        the output folder, unless --output is given
  GDPRNN_INFER  a program that was built elsewhere, instead of ascend310_infer/build/gdprnn_infer; nothing is built
  PYTHON        the interpreter (.venv/bin/python if there is one, or else python3)
TEXT
}

# shellcheck source=scripts/jobs.sh
. "$(dirname "${BASH_SOURCE[0]}")/jobs.sh"

# read_options: from $options into $output, $program_options (of the C++ program), $set_options (of both Python
# programs) and $rate_options (of the first).
read_options() {
    local i word name value
    output=${OUTPUT:-runs/infer310}
    test_name=test.mindrecord
    program_options=()
    set_options=()
    rate_options=()
    for ((i = 0; i < ${#options[@]}; i++)); do
        word=${options[i]}
        name=${word%%=*}
        name=${name//_/-}
        if [[ $word == *=* ]]; then
            value=${word#*=}
        else
            i=$((i + 1))
            [ "$i" -lt ${#options[@]} ] || wrong "$word needs a value"
            value=${options[i]}
        fi
        case $name in
            --output) output=$value ;;
            --threads | --batch) check_number "$name" "$value" 1 && program_options+=("$name" "$value") ;;
            --device-id) check_number "$name" "$value" 0 && program_options+=("$name" "$value") ;;
            --sample-rate) check_number "$name" "$value" 1 && rate_options+=("$name" "$value") ;;
            --engine | --amp) program_options+=("$name" "$value") ;;
            --mixture-type) set_options+=("$name" "$value") ;;
            --test-name) set_options+=("$name" "$value") && test_name=$value ;;
            *) wrong "unknown option '$word'" ;;
        esac
    done
}

# check_number OPTION VALUE LEAST
check_number() {
    if ! is_whole_number "$2" || [ "$2" -lt "$3" ]; then
        wrong "$1: found '$2', expected a whole number of at least $3"
    fi
}

# find_device: what is present on this machine.
find_device() {
    if command -v npu-smi >/dev/null || compgen -G '/dev/davinci[0-9]*' >/dev/null; then
        echo ascend
    else
        echo cpu
    fi
}

# lock_output: two runs in one folder would overwrite each other's files.
lock_output() {
    output=$(realpath -m -- "$output")
    if ! mkdir -p -- "$output" 2>/dev/null || [ ! -w "$output" ]; then
        fail "--output: found '$output', expected a folder that can be made and written to"
    fi
    exec 9>"$output/.lock"
    flock --nonblock 9 || fail "$output: found a run that is going on, expected none"
}

# --- stages ----------------------------------------------------------------------------------------------------------

# run_stage NAME COMMAND...: its log is NAME.log; ends the script if it fails. Standard output goes to the file $told
# where that is set.
run_stage() {
    local name=$1 status=0
    log=$output/$name.log
    shift
    stage=$((stage + 1))
    printf '[%4d s] %s/%s %s: %s\n' $((SECONDS - began)) "$stage" "$num_stages" "$name" "$log"
    { printf '==%s\n' "$(printf ' %q' "$@")" >"$log"; } 2>/dev/null || fail "$log: cannot be written to"
    starting=yes
    "${own_session[@]}" PYTHONUNBUFFERED=1 "$@" </dev/null >>"${told:-$log}" 2>>"$log" 9>&- &
    job=$!
    starting=
    [ "$interrupts" -eq 0 ] || signal_stage # it came before there was anybody to tell
    follow_stage "$name"
    wait "$job" || status=$?
    job=
    [ -z "$told" ] || cat -- "$told" >>"$log"
    [ "$interrupts" -eq 0 ] || end_interrupted
    [ "$status" -eq 0 ] || end_failed "$name" "$status"
}

# follow_stage NAME: until it ends; at a terminal its log is shown meanwhile. The C++ program tells its progress only to
# terminals, so its finished files are counted.
follow_stage() {
    if [ ! -t 2 ]; then
        screen=
    elif [ "$1" != infer ]; then
        show "$job" 1 "$log" >&2
    fi
    while alive "$job"; do
        [ "$1" != infer ] || [ ! -t 2 ] || count_outputs
        pause
    done
    if [ "$1" = infer ] && [ -t 2 ]; then
        count_outputs
        echo >&2
    fi
    [ -z "$screen" ] || wait "$screen" || true
    screen=
}

count_outputs() {
    printf '\rinfer: %s of %s utterances' "$(count_bins outputs)" "$(count_bins inputs)" >&2
}

count_bins() {
    find "$output/$1" -maxdepth 1 -name '*.bin' -printf . 2>/dev/null | wc -c
}

# end_failed NAME STATUS
end_failed() {
    printf 'error: the stage %s failed with exit status %s; the last lines of %s:\n' "$1" "$2" "$log" >&2
    tr '\r' '\n' <"$log" | sed '/^[[:space:]]*$/d' | tail -n "$NUM_LAST_LINES" >&2
    exit "$2"
}

end_interrupted() {
    printf '\ninterrupted: what is finished is kept, the same command goes on from there\n' >&2
    exit 130
}

stop_stage() {
    interrupts=$((interrupts + 1))
    [ -z "$starting" ] || return 0
    [ -n "$job" ] || end_interrupted
    signal_stage
}

# signal_stage: the first time as Ctrl-C does, for it may have something to finish; then at once.
signal_stage() {
    local signal=INT
    [ "$interrupts" -eq 1 ] || signal=KILL
    # For a moment after its start it has no group of its own yet, and ignores INT.
    kill "-$signal" -- "-$job" 2>/dev/null || kill -TERM "$job" 2>/dev/null || true
}

# ---------------------------------------------------------------------------------------------------------------------

NUM_LAST_LINES=10 # of a log, after a failure

split_arguments 4 "$@"
[ ${#positional[@]} -ge 3 ] ||
    wrong "found ${#positional[@]} arguments before the options, expected MINDIR_PATH TEST_PATH NEED_PREPROCESS [DEVICE]"
model=${positional[0]}
test_path=${positional[1]}
need_preprocess=${positional[2]}
target=${positional[3]:-$(find_device)}
[[ $need_preprocess == [yn] ]] || wrong "NEED_PREPROCESS: found '$need_preprocess', expected y or n"
[[ $target == cpu || $target == ascend ]] || wrong "DEVICE: found '$target', expected cpu or ascend"
read_options
[ -f "$model" ] || fail "MINDIR_PATH: found no file '$model', expected a model of export.py"
[ -f "$model.json" ] ||
    fail "MINDIR_PATH: found no description '$model.json', expected what export.py writes beside the model"
[ -e "$test_path" ] || fail "TEST_PATH: found neither folder nor file '$test_path', expected a test set"
program=${GDPRNN_INFER:-}
[ -z "$program" ] || [ -x "$program" ] || fail "GDPRNN_INFER: found no program '$program', expected one that was built"
if [ -f "$test_path" ] || [ -f "$test_path/$test_name" ]; then
    find_interpreter mindspore
else
    find_interpreter soundfile # audio files are read without MindSpore
fi
lock_output
inputs=$output/inputs/index.json
[ "$need_preprocess" = y ] || [ -f "$inputs" ] ||
    fail "NEED_PREPROCESS n: found no '$inputs', expected the inputs of an earlier run: give y the first time"

began=$SECONDS
stage=0
num_stages=3
[ -n "$program" ] || num_stages=$((num_stages + 1))
interrupts=0
starting=
job=
screen=
told=
trap 'stop_stage' INT TERM HUP

inputs_of=(--mode infer310 --test_dir "$test_path" --out_dir "$output/inputs" "${set_options[@]}" "${rate_options[@]}")
if [ "$need_preprocess" = y ]; then
    run_stage preprocess "$PYTHON" "$ROOT/preprocess.py" "${inputs_of[@]}"
else # before hours of separation
    run_stage check "$PYTHON" "$ROOT/preprocess.py" "${inputs_of[@]}" --check
fi
if [ -z "$program" ]; then
    run_stage build bash "$ROOT/ascend310_infer/build.sh"
    program=$ROOT/ascend310_infer/build/gdprnn_infer
fi
run_stage infer "$(realpath -- "$program")" --model "$model" --index "$inputs" --output "$output/outputs" \
    --device "$target" "${program_options[@]}"
tail -n 1 -- "$log" # how long it took
told=$output/.scores
: >"$told"
run_stage score "$PYTHON" "$ROOT/postprocess.py" --bin_path "$output/outputs" --test_dir "$test_path" \
    --output "$output" "${set_options[@]}"
cat -- "$told"
rm -f -- "$told"
