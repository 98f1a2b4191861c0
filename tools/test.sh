#!/usr/bin/env bash
# Measure a checkpoint on this machine and print mIoU and aAcc: in one process, or in GPUS of them.
set -euo pipefail
if (($# < 2)); then
    echo "usage: [PYTHON=python] $0 CONFIG CHECKPOINT [GPUS] [arguments of test.py]" >&2
    exit 2
fi
tools=$(dirname "$0")

if [[ ${3:-} =~ ^[0-9]+$ ]]; then
    if (($3 > 1)); then
        exec bash "$tools/dist_test.sh" "$@"
    fi
    set -- "$1" "$2" "${@:4}"
fi
PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" "$tools/test.py" "$@"
