#!/bin/sh
# Grades the accusation that the agent wrote; with the places of files as arguments, anywhere.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
exec python3 "$here/grade.py" "${1:-/workspace/accusation.json}" "$here/answer.json" \
    "$here/task.json.gz" "${2:-/logs/verifier}"
