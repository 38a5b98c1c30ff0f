#!/usr/bin/env bash
# All checks: style, types, layering, shell scripts, tests. Arguments go to pytest, e.g. -m slow or a file.
# With GDPRNN_WITH_TORCH=1 PyTorch is installed too, for the tests that run the live twin (.ci/run does so).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
# shellcheck source=scripts/environment.sh
. scripts/environment.sh
requirements=(requirements.txt requirements-dev.txt)
[ -z "${GDPRNN_WITH_TORCH:-}" ] || requirements+=(requirements-torch.txt)
prepare_environment "${requirements[@]}"

failed=()
skipped=()
check() {
    local name=$1
    shift
    echo "== $name"
    "$@" || failed+=("$name")
}

check "ruff (style)" .venv/bin/ruff check .
check "ruff (format)" .venv/bin/ruff format --check .
check "mypy (types)" .venv/bin/mypy
check "lint-imports (layering)" .venv/bin/lint-imports
if command -v shellcheck >/dev/null; then
    check "shellcheck (scripts)" shellcheck -x scripts/*.sh scripts/rank/python ascend310_infer/*.sh .ci/run
else
    skipped+=("shellcheck: apt-get install shellcheck")
fi
default_marks=(-m "not slow")
[ $# -eq 0 ] || default_marks=()
check "pytest (tests)" "$PYTHON" -m pytest "${default_marks[@]}" "$@"

for reason in "${skipped[@]}"; do
    echo "skipped: $reason"
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}" >&2
    exit 1
fi
echo "all checks passed"
