#!/usr/bin/env bash
# Training in several processes, one a device, in the background unless --foreground is given.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bash scripts/run_distribute_train.sh [DEVICE_NUM] [DISTRIBUTE] [RANK_TABLE_FILE] [--foreground]
                                            [options of train.py ...]

  DEVICE_NUM       processes in all (8)
  DISTRIBUTE       True: a distributed job; False: one process alone, for which DEVICE_NUM is 1 (True)
  RANK_TABLE_FILE  HCCL's rank table, for Ascend sites that still start jobs by one (not run: no Ascend was at hand);
                   without it the processes find each other by MindSpore's dynamic cluster
  --foreground     show rank 0, wait for the end and return the exit status
  options          from the first one on, everything goes to train.py: see python train.py --help

The log is train.log in train.py's --output_dir (runs/train), with what rank 0 says; its last line is "exit status N".
The log of rank N is logs/rank_N.log there. Ctrl-C lets rank 0 save its checkpoint. Paths are those of the folder from
which the command is given. Environment:

  DEVICE_TARGET     CPU, Ascend or GPU (CPU)
  PYTHON            the interpreter (.venv/bin/python if there is one, or else python3)
  MASTER_PORT       port of rank 0's machine, 1024 to 65535 (a free one)
  CLUSTER_TIME_OUT  seconds in which all processes must have found each other (600)
  STOP_SECONDS      seconds from TERM to KILL for the other ranks, once one has failed (30)
  SERVER_ID         this server in a rank table that has several

On several machines give the command on each of them, with DEVICE_NUM counted over all, and with

  NUM_NODES, NODE_RANK        how many machines, and which of them this is, from 0 on
  MASTER_ADDR, MASTER_PORT    address of machine 0 and a free port there
TEXT
}

# shellcheck source=scripts/jobs.sh
. "$(dirname "${BASH_SOURCE[0]}")/jobs.sh"

read_arguments() {
    device_num=${positional[0]-8}
    distribute=${positional[1]-True}
    table=${positional[2]-}
    if ! is_whole_number "$device_num" || [ "$device_num" -eq 0 ]; then
        wrong "DEVICE_NUM: found '$device_num', expected a whole number above 0"
    fi
    case $distribute in
        True) ;;
        False)
            [ "$device_num" -eq 1 ] ||
                wrong "DISTRIBUTE: found False with DEVICE_NUM $device_num, expected True: one process alone uses 1 device"
            [ -z "$table" ] || wrong "RANK_TABLE_FILE: found '$table' with DISTRIBUTE False, expected none"
            ;;
        *) wrong "DISTRIBUTE: found '$distribute', expected True or False" ;;
    esac
}

# read_nodes: which machine this is among how many, from the environment.
read_nodes() {
    local name
    nodes=${NUM_NODES:-1}
    number NUM_NODES "$nodes" 1 100000
    if [ "$nodes" -gt 1 ]; then
        [ -z "$table" ] || fail "NUM_NODES: found $nodes with RANK_TABLE_FILE, expected none: the table names the machines"
        for name in NODE_RANK MASTER_ADDR MASTER_PORT; do
            [ -n "${!name:-}" ] || fail "$name: found nothing, expected a value because NUM_NODES is $nodes"
        done
    fi
    node=${NODE_RANK:-0}
    number NODE_RANK "$node" 0 $((nodes - 1))
    [ $((device_num % nodes)) -eq 0 ] ||
        fail "DEVICE_NUM: found $device_num on $nodes machines (NUM_NODES), expected a multiple of $nodes"
    [ -z "${MASTER_PORT:-}" ] || number MASTER_PORT "$MASTER_PORT" 1024 65535
    number CLUSTER_TIME_OUT "${CLUSTER_TIME_OUT:-600}" 1 1000000
}

# start_cluster: by msrun. Its own output stays in logs/msrun.log, for it ends every failure with a traceback.
start_cluster() {
    local count=$((device_num / nodes)) address=127.0.0.1 port=${MASTER_PORT:-}
    local first=$((node * count))
    [ -x "$SCRIPTS/rank/python" ] || fail "$SCRIPTS/rank/python: found no program, expected the one of the repository"
    [ "$nodes" -eq 1 ] || address=$MASTER_ADDR
    [ -n "$port" ] || port=$(free_port)
    prepare_output "$first"
    export LOCAL_RANKS=$count # they share this machine's cores
    # tail_worker_log: no worker has that number, so msrun copies no worker's log to its own
    start_job "$log" run_cluster "$output" "$first" "$count" "$PYTHON" -m mindspore.parallel.cluster.run \
        "--worker_num=$device_num" "--local_worker_num=$count" "--master_addr=$address" "--master_port=$port" \
        "--node_rank=$node" "--log_dir=$output/logs" --worker_log_name=rank "--tail_worker_log=$device_num" \
        --join=True "--cluster_time_out=${CLUSTER_TIME_OUT:-600}" \
        "$ROOT/train.py" "${device[@]}" "${options[@]}"
}

free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_by_rank_table() {
    local places
    table=$(realpath -s -- "$table")
    places=$("$PYTHON" "$SCRIPTS/check_rank_table.py" "$table" "$device_num" ${SERVER_ID:+"$SERVER_ID"}) || exit 2
    prepare_output "${places%% *}"
    LOCAL_RANKS=$(wc -l <<<"$places")
    export LOCAL_RANKS
    start_job "$log" run_ranks "$output" "$table" "$device_num" "$places" \
        "$PYTHON" "$ROOT/train.py" "${device[@]}" "${options[@]}"
}

# prepare_output FIRST_RANK: several machines may share the folder, and only the first of them waits for its lock.
prepare_output() {
    choose_output output-dir runs/train
    log=$output/train.log
    if [ "$1" -eq 0 ]; then
        refuse_second_run
    else
        log=$output/train_rank$1.log
    fi
}

split_arguments 3 "$@"
read_arguments
read_nodes
find_interpreter mindspore
choose_device ""
if [ "$distribute" = False ]; then
    prepare_output 0
    start_job "$log" run_single "$PYTHON" "$ROOT/train.py" "${device[@]}" "${options[@]}"
elif [ -n "$table" ]; then
    start_by_rank_table
else
    start_cluster
fi
