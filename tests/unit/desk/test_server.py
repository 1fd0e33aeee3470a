"""The desk's process beside what it serves: the memory that it gives back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

THREADS = 6
PAGE_MIB = 6

PAGES_MADE_AT_ONCE = f"""
import sys, threading
import psutil
from lab.desk.server import hold_on_to_little

if sys.argv[1] == "little":
    hold_on_to_little()
page = bytes(8 * 2**20)
del page  # A large block that is freed: from here on glibc keeps as much at the end of each heap.
all_made = threading.Barrier({THREADS} + 1)
over = threading.Event()

def make_a_page():
    parts = [b"x" * 60_000 for _ in range({PAGE_MIB} * 2**20 // 60_000)]
    all_made.wait()
    del parts
    all_made.wait()
    over.wait()

spare = [threading.Lock() for _ in range(1000)]
del spare  # Whoever waits takes one of these, and none that would lie above what is given back.
before = psutil.Process().memory_info().rss
for _ in range({THREADS}):
    threading.Thread(target=make_a_page).start()
all_made.wait()
all_made.wait()
print((psutil.Process().memory_info().rss - before) / 2**20)
over.set()
"""


def held_mib(how: str) -> float:
    """What a process holds after so many threads have made a page at once, and dropped it."""
    done = subprocess.run(
        [sys.executable, "-c", PAGES_MADE_AT_ONCE, how], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another library allocates here")
def test_pages_that_were_made_at_once_are_given_back() -> None:
    """A thread's heap would keep what its largest page took."""
    assert held_mib("little") < PAGE_MIB
    assert held_mib("as it comes") > THREADS * PAGE_MIB / 2
