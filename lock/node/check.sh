#!/bin/sh
# Checks the types of the pages' ES modules with the locked TypeScript, which goes into
# .venv/node. Node.js comes from PATH, or else as the locked wheel.
set -eu

here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
place=$root/.venv/node
installed=$place/installed-lock.json

if ! npm --version >/dev/null 2>&1; then
    wheel=$root/.venv/node-wheel
    if [ ! -x "$wheel/bin/npm" ] && ! "$root/.venv/bin/uv" pip install --quiet \
        --python "$root/.venv/bin/python" --target "$wheel" --require-hashes \
        --requirement "$root/lock/node.txt"; then
        echo "types of the pages' modules skipped: no npm, and no wheel of Node.js for this machine"
        exit 0
    fi
    PYTHONPATH=$wheel PATH=$wheel/bin:$root/.venv/bin:$PATH
    export PYTHONPATH PATH
fi

if ! cmp -s "$here/package-lock.json" "$installed"; then
    mkdir -p "$place"
    cp "$here/package.json" "$here/package-lock.json" "$place/"
    if ! (cd "$place" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error); then
        echo "expected npm to install the locked TypeScript, found that it failed as above;" \
            "see whether this machine reaches a registry, then try again" >&2
        exit 1
    fi
    cp "$here/package-lock.json" "$installed"
fi

"$place/node_modules/.bin/tsc" --project "$here/tsconfig.json"
echo "Success: the types of the pages' modules hold"
