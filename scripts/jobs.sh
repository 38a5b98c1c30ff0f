# shellcheck shell=bash
# Sourced by run_standalone_train.sh, run_distribute_train.sh and run_eval.sh: arguments, interpreter and the job; and
# by run_infer_310.sh, whose stages run one after the other in the foreground and not as a job.
#
# A job runs under a supervisor, a bash in a session of its own, so that it survives the terminal. Everything the
# supervisor and the job say goes to one log, the supervisor's last line being "exit status N"; run_to_last_line does
# without it where N is 0. In the background that is all; --foreground shows the log on the screen meanwhile and
# passes Ctrl-C on to the supervisor.
# The first INT or TERM that the supervisor gets goes to rank 0 as SIGINT, because train.py then saves its
# checkpoint; the second ends everything. The job's processes are known by GDPRNN_JOB in their environment, because
# msrun puts its workers in sessions of their own, where no process group reaches them.

SCRIPTS=$(cd -P -- "$(dirname "${BASH_SOURCE[0]}")" >/dev/null && pwd)
ROOT=$(dirname "$SCRIPTS")
# shellcheck source=scripts/environment.sh
. "$SCRIPTS/environment.sh" # fail

STOP_SECONDS=${STOP_SECONDS:-30} # from TERM to KILL, once a rank has failed
HURRY_SECONDS=5                  # the same after Ctrl-C, when nothing is left to save

# A background process of bash ignores SIGINT, and what it starts inherits that: train.py could not be interrupted.
own_session=(setsid env)
if env --default-signal=INT true 2>/dev/null; then # not in coreutils before 8.31
    own_session+=(--default-signal=INT)
fi

# --- arguments -----------------------------------------------------------------------------------------------------

# wrong MESSAGE: a mistake on the command line.
wrong() {
    printf 'error: %s\n' "$1" >&2
    usage >&2
    exit 2
}

# split_arguments MOST ARG...: fills positional (what stands before the first option, at most MOST), options and
# foreground. The command line itself is kept for the log.
split_arguments() {
    local most=$1 arg
    shift
    command_line=$(printf ' %q' bash "$0" "$@")
    positional=()
    options=()
    foreground=no
    for arg in "$@"; do
        if [ "$arg" = --foreground ]; then
            foreground=yes
        elif [ "$arg" = -h ] || [ "$arg" = --help ]; then
            usage
            exit 0
        elif [ ${#options[@]} -gt 0 ] || [[ $arg == --* ]]; then
            options+=("$arg")
        else
            [ ${#positional[@]} -lt "$most" ] || wrong "unknown argument '$arg'"
            positional+=("$arg")
        fi
    done
}

# find_option NAME: leaves in $value the last value that the options give to --NAME, hyphens and underscores alike.
find_option() {
    local name=$1 found=1 i word spelled
    value=
    for ((i = 0; i < ${#options[@]}; i++)); do
        word=${options[i]}
        spelled=${word%%=*}
        [ "${spelled//_/-}" = "--$name" ] || continue
        if [[ $word == *=* ]]; then
            value=${word#*=}
        else
            [ $((i + 1)) -lt ${#options[@]} ] || wrong "$word needs a value"
            i=$((i + 1))
            value=${options[i]}
        fi
        found=0
    done
    return "$found"
}

is_whole_number() {
    [[ $1 =~ ^(0|[1-9][0-9]{0,8})$ ]]
}

# number NAME VALUE LEAST MOST: for what is taken from the environment.
number() {
    if ! is_whole_number "$2" || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        fail "$1: found '$2', expected a whole number from $3 to $4"
    fi
}

# find_interpreter MODULE: leaves in $PYTHON the absolute path of a Python that has the module.
find_interpreter() {
    local given=${PYTHON:-} module=$1
    if [ -z "$given" ]; then
        given=python3
        [ ! -x "$ROOT/.venv/bin/python" ] || given=$ROOT/.venv/bin/python
    fi
    PYTHON=$(command -v -- "$given") || fail "PYTHON: found no program '$given', expected a Python interpreter"
    PYTHON=$(realpath -s -- "$PYTHON") # a link in a virtual environment must stay that link
    export PYTHON
    "$PYTHON" -c "import sys, importlib.util as u; sys.exit(u.find_spec('$module') is None)" 2>/dev/null ||
        fail "$PYTHON has no $module: run bash scripts/run_demo.sh once, or pip install -r requirements.txt"
}

# choose_device DEVICE_ID: fills device with the options that name the device, but for those the user has given. An empty
# DEVICE_ID is not passed on.
choose_device() {
    local target=${DEVICE_TARGET:-CPU}
    device=()
    if ! find_option device-target && ! find_option device; then
        case $target in
            CPU | Ascend | GPU) device+=(--device_target "$target") ;;
            *) fail "DEVICE_TARGET: found '$target', expected CPU, Ascend or GPU" ;;
        esac
    fi
    [ -z "$1" ] || find_option device-id || device+=(--device_id "$1")
}

# choose_output NAME DEFAULT: makes the folder that the option --NAME gives and leaves its absolute path in $output.
choose_output() {
    find_option "$1" || value=$2
    output=$(realpath -m -- "$value")
    if ! mkdir -p -- "$output" 2>/dev/null || [ ! -w "$output" ]; then
        fail "--$1: found '$value', expected a folder that can be made and written to"
    fi
}

# refuse_second_run: train.py would refuse too, but in the background nobody sees it, and logs would be overwritten.
refuse_second_run() {
    local status=0
    [ -e "$output/.lock" ] || return 0
    flock --nonblock --conflict-exit-code 75 "$output/.lock" true 2>/dev/null || status=$?
    [ "$status" -ne 75 ] ||
        fail "$output: found a run that is going on (pid $(head -n 1 "$output/.lock")), expected none"
}

# --- the job, seen from the command that starts it -------------------------------------------------------------------

# start_job LOG FUNCTION ARG...: a supervisor that calls the function, one of run_single, run_to_last_line, run_cluster
# and run_ranks.
start_job() {
    local log=$1 from
    shift
    number STOP_SECONDS "$STOP_SECONDS" 0 86400
    export STOP_SECONDS # to the supervisor
    touch -- "$log" 2>/dev/null || fail "$log: cannot be written to"
    end_line "$log"
    from=$(($(stat -c %s -- "$log") + 1))
    printf '== %s in %q:%s\n' "$(date '+%Y-%m-%d %H:%M:%S %z')" "$PWD" "$command_line" >>"$log"
    job=
    if [ "$foreground" = yes ]; then
        trap 'pass_on' INT TERM HUP
    fi
    # shellcheck disable=SC2016,SC2094 # the supervisor expands these; it only appends to the log
    "${own_session[@]}" bash -c 'set -euo pipefail; . "$0"; supervise "$@"' "$SCRIPTS/jobs.sh" "$log" "$@" \
        </dev/null >>"$log" 2>&1 &
    job=$!
    if [ "$foreground" = yes ]; then
        follow_job "$log" "$from"
    fi
    printf 'started in the background, process %s\n' "$job"
    printf 'log:     %s\n' "$log"
    printf 'follow:  tail -f %q\n' "$log"
    printf 'stop:    kill %s   (as Ctrl-C: the program may save first; a second time ends it at once)\n' "$job"
}

# follow_job LOG FROM: shows the log from that byte on until the job ends, and exits with the job's status.
follow_job() {
    local status=0 screen
    show "$job" "$2" "$1"
    while alive "$job"; do
        pause
    done
    wait "$job" || status=$?
    wait "$screen" || true
    exit "$status"
}

# pass_on: TERM, because for a moment after its start the supervisor still ignores INT.
pass_on() {
    [ -n "$job" ] || exit 130
    kill -TERM "$job" 2>/dev/null || true
}

# show PID FROM FILE: copies the file as it grows, until the process ends and then once more. What ends the whole
# process group must not take the last lines.
show() {
    (
        trap '' INT TERM HUP
        exec tail -c "+$2" -s 0.1 -f --pid="$1" -- "$3"
    ) &
    screen=$!
}

# pause: what ends the whole process group ends the sleep too, of which nobody wants to read. read -t would need no
# process, but bash 5.2 can lose the signal that arrives meanwhile.
pause() {
    local seconds=0.1
    [ "$SECONDS" -lt 10 ] || seconds=0.5
    { sleep "$seconds" || true; } 2>/dev/null
}

alive() {
    kill -0 "$1" 2>/dev/null
}

# end_line FILE: what a progress bar left open must not have something written behind it.
end_line() {
    [ ! -s "$1" ] || [ -z "$(tail -c 1 -- "$1")" ] || echo >>"$1"
}

# --- the supervisor --------------------------------------------------------------------------------------------------

# supervise LOG FUNCTION ARG...: standard output and error are the log already.
supervise() {
    log=$1
    shift
    token=$$-$(date +%s%N) # of this job's processes
    declare -gA pids=()    # processes started here and not ended yet, by rank, or msrun
    logs=                  # folder of the ranks' logs
    lock=                  # where rank 0 writes its pid, when it is not started here
    failed=                # the first to fail, a rank or msrun
    failed_status=0
    interrupts=0
    deadline= # second at which KILL follows TERM
    tells_success=yes
    trap '' HUP
    trap 'take_interrupt' INT TERM
    trap 'write_status $?' EXIT
    "$@"
}

write_status() {
    end_line "$log"
    if [ "$1" -ne 0 ] || [ "$tells_success" = yes ]; then
        echo "exit status $1"
    fi
}

# say MESSAGE: a line of the supervisor's own in the log.
say() {
    end_line "$log"
    printf '%s\n' "$1"
}

# run_single COMMAND...
run_single() {
    launch 0 "$log" "$@"
    await_job
    exit "$failed_status"
}

# run_to_last_line COMMAND...: as run_single, but the last line of a program that succeeds is the log's.
run_to_last_line() {
    tells_success=no
    run_single "$@"
}

# run_cluster OUTPUT FIRST COUNT COMMAND...: msrun, which starts COUNT ranks here, the first of them FIRST.
run_cluster() {
    local first=$2 count=$3
    # shellcheck disable=SC2046 # numbers
    prepare_logs "$1" $(seq "$first" $((first + count - 1)))
    lock=$1/.lock
    shift 3
    launch msrun "$launcher_log" "PATH=$SCRIPTS/rank:$PATH" "RANK_STATUS_FOLDER=$logs" \
        env -u RANK_TABLE_FILE "$@"
    show_rank "$first" "${pids[msrun]}"
    end_ranks
}

# run_ranks OUTPUT TABLE SIZE PLACES COMMAND...: one process for each line "RANK_ID DEVICE_ID" of PLACES. The way of
# older sites, with HCCL's rank table. Not run on Ascend: none was at hand.
run_ranks() {
    local table=$2 size=$3 places=$4 rank card
    # shellcheck disable=SC2046 # numbers
    prepare_logs "$1" $(cut -d ' ' -f 1 <<<"$places")
    shift 4
    while read -r rank card; do
        launch "$rank" "$logs/rank_$rank.log" "RANK_TABLE_FILE=$table" "RANK_ID=$rank" "RANK_SIZE=$size" \
            "DEVICE_ID=$card" "DEVICE_NUM=$size" "$@"
    done <<<"$places"
    rank=${places%% *}
    show_rank "$rank" "${pids[$rank]}"
    end_ranks
}

# end_ranks: waits for the ranks, tells which failed and exits with its status.
end_ranks() {
    await_job
    wait "$screen" || true
    if [ -n "$failed" ] && [ "$interrupts" -eq 0 ]; then
        say "$(describe_failure)"
    fi
    exit "$failed_status"
}

# prepare_logs OUTPUT RANK...: the folder of the ranks' logs, without what an earlier run left of these ranks.
prepare_logs() {
    local rank
    logs=$1/logs
    launcher_log=$logs/msrun.log
    [ "$2" -eq 0 ] || launcher_log=$logs/msrun_rank$2.log # several machines may share the folder
    mkdir -p -- "$logs"
    shift
    ranks=("$@")
    for rank in "${ranks[@]}"; do
        rm -f -- "$logs/rank_$rank.status"
        : >"$logs/rank_$rank.log"
    done
    : >"$launcher_log"
}

# launch NAME LOG [VARIABLE=VALUE...] COMMAND...
launch() {
    local name=$1 file=$2
    shift 2
    "${own_session[@]}" "GDPRNN_JOB=$token" PYTHONUNBUFFERED=1 "$@" </dev/null >>"$file" 2>&1 &
    pids[$name]=$!
}

# show_rank RANK PID: copies the rank's log as it grows, until the process ends and then to its end.
show_rank() {
    show "$2" 1 "$logs/rank_$1.log"
}

# await_job: until every process of the job has ended. One that fails takes the others with it.
await_job() {
    local name status
    [ "$interrupts" -eq 0 ] || pass_interrupt_on # it came before there was anybody to tell
    while [ ${#pids[@]} -gt 0 ]; do
        pause
        note_ranks_of_msrun
        for name in "${!pids[@]}"; do
            ! alive "${pids[$name]}" || continue
            status=0
            wait "${pids[$name]}" || status=$?
            unset "pids[$name]"
            note_ranks_of_msrun # msrun ends because of a rank: that rank is the one to tell
            note_end "$name" "$status"
        done
        kill_when_due
    done
    end_stragglers
    [ "$interrupts" -eq 0 ] || [ "$failed_status" -eq 0 ] || failed_status=130
}

# note_ranks_of_msrun: msrun itself tells only that some process failed; scripts/rank/python wrote down which.
note_ranks_of_msrun() {
    local rank
    [ -n "$lock" ] || return 0
    for rank in "${ranks[@]}"; do
        [ ! -e "$logs/rank_$rank.status" ] || note_end "$rank" "$(cat "$logs/rank_$rank.status")"
    done
}

# note_end NAME STATUS
note_end() {
    if [ "$2" -ne 0 ] && [ -z "$failed" ]; then
        failed=$1
        failed_status=$2
        if [ "$interrupts" -gt 0 ]; then # rank 0 has saved what was to be saved
            stop_all "$HURRY_SECONDS"
        else
            stop_all "$STOP_SECONDS"
        fi
    fi
}

# end_stragglers: e.g. ranks whose msrun was killed.
end_stragglers() {
    [ -n "$(job_pids)" ] || return 0
    [ -n "$deadline" ] || stop_all "$HURRY_SECONDS"
    while [ -n "$(job_pids)" ]; do
        kill_when_due
        pause
    done
}

# job_pids: all processes of this job, wherever they stand.
job_pids() {
    grep -lzsxF "GDPRNN_JOB=$token" /proc/[0-9]*/environ | cut -d / -f 3 || true
}

# signal_all SIGNAL
signal_all() {
    local pid
    for pid in $(job_pids) "${pids[@]}"; do
        kill "-$1" "$pid" 2>/dev/null || true
    done
}

# stop_all SECONDS: TERM now, KILL after that time.
stop_all() {
    deadline=$((SECONDS + $1))
    signal_all TERM
}

kill_when_due() {
    if [ -n "$deadline" ] && [ "$SECONDS" -ge "$deadline" ]; then
        signal_all KILL
    fi
}

take_interrupt() {
    interrupts=$((interrupts + 1))
    if [ "$interrupts" -gt 1 ]; then
        say "interrupted again: everything is ended at once"
        stop_all "$HURRY_SECONDS"
    elif [ ${#pids[@]} -gt 0 ]; then
        pass_interrupt_on
    fi
}

# pass_interrupt_on: to rank 0 alone. Without it, because it has not begun or runs on another machine, nothing can be
# saved here.
pass_interrupt_on() {
    local saver
    saver=$(find_rank_0)
    if [ -n "$saver" ]; then
        say "interrupted: the program may save first; a second time ends everything at once"
        kill -INT "$saver" 2>/dev/null || true
    else
        say "interrupted"
        stop_all "$HURRY_SECONDS"
    fi
}

# find_rank_0: its pid, or nothing. What an earlier run left in the lock file, or another machine wrote, is no pid of
# this job.
find_rank_0() {
    local pid=${pids[0]:-}
    if [ -z "$pid" ] && [ -n "$lock" ] && [ -r "$lock" ]; then
        read -r pid <"$lock" || true
        [[ $pid =~ ^[1-9][0-9]*$ ]] && grep -qzsxF "GDPRNN_JOB=$token" "/proc/$pid/environ" || pid=
    fi
    printf '%s' "$pid"
}

# describe_failure: one line that tells who failed, which log to read and the last error that a rank has told.
describe_failure() {
    local who="rank $failed" file=$logs/rank_$failed.log told rank files=()
    if [ "$failed" = msrun ]; then
        who=msrun
        file=$launcher_log
    fi
    for rank in "${ranks[@]}"; do
        files+=("$logs/rank_$rank.log")
    done
    told=$(last_error "${files[@]}" "$file")
    printf 'error: %s ended with status %s, look at %s%s' "$who" "$failed_status" "$file" \
        "${told:+; last error told: $told}"
}

# last_error LOG...: the last line wins, so the most telling log comes last.
last_error() {
    cat -- "$@" 2>/dev/null | tr '\r' '\n' | sed -nE 's/^([^ ]+\.py: )?error: //p' | tail -n 1 || true
}
