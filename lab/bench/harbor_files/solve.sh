#!/bin/sh
# The oracle: writes an accusation that solves the task.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=${1:-/workspace/accusation.json}
mkdir -p "$(dirname -- "$target")"
cp "$here/accusation.json" "$target"
