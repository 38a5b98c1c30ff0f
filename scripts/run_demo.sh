#!/usr/bin/env bash
# From real speech to separated speech on a plain CPU: corpus, mixtures, manifests, MindRecord, some minutes of
# training, evaluation on people never heard before of the network that was trained here and of the one that comes
# with the program, pages to listen to, separated wav files. A second run reuses what the first one finished.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bash scripts/run_demo.sh [--full] [--corpus DIR] [--output DIR] [--seed N]

  --full        use the larger corpus: 41 more persons, 255 MB more to download
  --corpus DIR  use speech in DIR instead: <split>/<speaker>/*.flac, or LibriSpeech's own layout
  --output DIR  where everything goes (runs/demo, or runs/demo-full with --full)
  --seed N      of the mixtures' training order, crops and initial weights (0)
TEXT
}

full=()
corpus=
output=
seed=0
while [ $# -gt 0 ]; do
    case $1 in
        --full) full=(--full) ;;
        --corpus | --output | --seed)
            [ $# -ge 2 ] || { echo "error: $1 needs a value" >&2; usage >&2; exit 2; }
            declare "${1#--}=$2"
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "error: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
# Paths are the caller's; everything below runs in the repository's root.
[ -z "$corpus" ] || corpus=$(realpath -m "$corpus")
[ -z "$output" ] || output=$(realpath -m "$output")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=${output:-$PWD/runs/demo${full:+-full}}
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
prepare_environment requirements.txt
# shellcheck source=scripts/open_page.sh
. scripts/open_page.sh

began=$SECONDS
stage() {
    printf '\n[%3d s] %s\n' $((SECONDS - began)) "$1"
}

if [ -z "$corpus" ]; then
    stage "1/6 corpus: real speech with free licences, from Debian's packages"
    corpus=$output/corpus
    "$PYTHON" -m src.data.corpus --output "$corpus" --cache .cache/packages "${full[@]}"
fi

stage "2/6 mixtures, as LibriMix makes them"
"$PYTHON" -m src.data.librimix --corpus "$corpus" --output "$output/librimix" \
    --count train=1500 valid=40 test=150

stage "3/6 manifests and MindRecord"
"$PYTHON" preprocess.py --in-dir "$output/librimix/Libri2Mix" --out-dir "$output/data" --sample-rate 8000 \
    --train_name train.mindrecord --test_name test.mindrecord

stage "4/6 training"
"$PYTHON" train.py --config configs/demo_2spk_8k.yaml --train_dir "$output/data" --valid_dir "$output/data" \
    --output_dir "$output" --seed "$seed"

evaluate() { # CHECKPOINT FOLDER NAME: scores and a page to listen to, unless they are there
    local page=$2/report/index.html
    if [ "$2/metrics.json" -nt "$1" ] && [ "$page" -nt "$1" ]; then
        echo "done before: $2/metrics.json, $page"
    else
        "$PYTHON" evaluate.py --model_path "$1" --data-dir "$output/data" --output "$2" --report "$2/report" --name "$3"
    fi
}

stage "5/6 evaluation on people that the networks have never heard"
# The last weights, and not the best on the validation set: the learning rate has come down to zero, and some
# dozens of pieces are too few to choose by.
checkpoint=$output/latest.ckpt
scores=$output
evaluate "$checkpoint" "$output" "the network trained by this demo"
shipped=checkpoints/gdprnn_2spk_8k.ckpt
if [ -f "$shipped" ]; then # trained for longer, so it is the one to hear
    checkpoint=$shipped
    scores=$output/shipped
    evaluate "$checkpoint" "$scores" "the network that comes with the program"
fi

stage "6/6 separated examples"
mapfile -t examples < <(find "$output/librimix/Libri2Mix/wav8k/min/test/mix_clean" -name '*.wav' | sort | head -n 5)
"$PYTHON" separate.py "${examples[@]}" --model_path "$checkpoint" --output-dir "$output/separated"
for example in "${examples[@]}"; do # the mixture beside its tracks, to compare
    cp "$example" "$output/separated/$(basename "$example" .wav)_mixture.wav"
done

stage "done"
"$PYTHON" - "$output" "$scores" <<'PY'
import json
import sys
from pathlib import Path

output, heard = map(Path, sys.argv[1:])
folders = list(dict.fromkeys((output, heard)))
results = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
print(f"checkpoints   {output / 'latest.ckpt'}, {output / 'best.ckpt'} (best on the validation set)")
print(f"history       {output / 'history.jsonl'}")
print(f"separated     {output / 'separated'}, by {results[-1].get('name', '')}")
for folder in folders:
    print(f"scores        {folder / 'metrics.json'}, {folder / 'per_utterance.csv'}")
    print(f"to listen to  {folder / 'report' / 'index.html'} (in a browser)")
print(f"mean SI-SNR improvement on {results[0]['num_utterances']} mixtures of unheard people:")
for scores in results:
    print(f"{scores['si_snri_db']:8.2f} dB  {scores.get('name', '')} ({scores['model_path']})")
PY
open_page "$scores/report/index.html"
