#!/bin/sh
# Installs the locked dependencies and this checkout into .venv, then makes the file
# named by the only argument, which `make` takes for "installed".
#
# An install that was interrupted is done again from an empty .venv, because pip may
# have stopped in the middle of a package; what was downloaded is in pip's cache. A
# whole .venv is installed over and not emptied: a running lab lives in it. One that this
# did not make is the user's, and stays as it is.
set -eu

stamp=$1
unfinished=.venv/.unfinished
mark=.venv/.made-by-deadspan
here=$(pwd -P)
started=$(date +%s)

# Without it some shells take an interrupted uv for a failed one, and go on with pip.
trap 'exit 130' INT TERM

find_python() {
    without_venv=
    for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            python=$candidate
            return
        fi
        without_venv=$candidate
    done
    if [ -n "$without_venv" ]; then
        echo "expected $without_venv to have the modules venv and ensurepip, found that it lacks" \
            "them; install them (on Debian and Ubuntu: the package $without_venv-venv)" >&2
    else
        echo "expected Python 3.11 or newer as python3.11 … python3.14 or python3, found" \
            "$(python3 --version 2>&1 || echo none); install one and run the command again" >&2
    fi
    exit 2
}

# Whole, and not moved with its checkout, for its programs name the folder they were made for.
belongs_here() {
    [ "$(cat "$mark" 2>/dev/null)" = "$here" ] && [ ! -e "$unfinished" ] &&
        .venv/bin/python -c 'import pip' 2>/dev/null
}

# Earlier versions left no mark, and yet the name of what they had installed.
is_ours() {
    [ ! -h .venv ] || return 1
    for trace in "$mark" "$unfinished" .venv/.installed-*; do
        [ ! -e "$trace" ] || return 0
    done
    return 1
}

pip_install() {
    .venv/bin/python lock/plain_pip.py --disable-pip-version-check --quiet install --no-deps "$@"
}

# What pip writes for a checkout names its folder: in letters that Python cannot read where the
# locale has only ASCII, and for a shell that takes some of them for its own. So both are
# written anew, the way there from where it is read, and the name quoted.
link_checkout() {
    for place in .venv/lib/python*/site-packages; do
        echo ../../../.. >"$place/_editable_impl_deadspan.pth"
    done
    quoted=$(printf '%s' "$here" | sed "s/'/'\\\\''/g")
    rm -f .venv/bin/lab
    printf "#!/bin/sh\nexec '%s/.venv/bin/python' -P -m lab \"\$@\"\n" "$quoted" >.venv/bin/lab
    chmod +x .venv/bin/lab
}

# uv, itself from the lock, takes a third of the time of pip. It does not read pip's
# configuration, so where that names an index, or uv gets nowhere, pip does it all.
uv_install() {
    ! .venv/bin/python -m pip config list | grep -Eq 'index-url|no-index' || return 1
    awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' lock/dev.txt >.venv/uv.txt
    pip_install --only-binary :all: --require-hashes --requirement .venv/uv.txt || return 1
    .venv/bin/uv --system-certs pip install --python .venv/bin/python --quiet --compile-bytecode --no-deps \
        --only-binary :all: --require-hashes --requirement lock/dev.txt
}

if ! belongs_here; then
    find_python
    if { [ -e .venv ] || [ -h .venv ]; } && ! is_ours; then
        echo "expected $here/.venv to be the lab's own, found one that it did not make (without" \
            "the file $mark); move it away, or remove it if you do not need it, and run the" \
            "command again" >&2
        exit 2
    fi
    echo "Making .venv with $("$python" --version) …"
    rm -rf .venv
    mkdir .venv
    : >"$unfinished"
    printf '%s\n' "$here" >"$mark"
    "$python" -m venv "$here/.venv"
fi

: >"$unfinished"
echo "Installing $(grep -c '==' lock/dev.txt) locked packages into .venv …"
if ! uv_install; then
    echo "Going on with pip, which takes longer …"
    pip_install --only-binary :all: --require-hashes --requirement lock/dev.txt
fi
pip_install --no-build-isolation --editable .
link_checkout
rm -f .venv/.installed-* "$unfinished"
: >"$stamp"
echo "Installed in $(($(date +%s) - started)) s."
