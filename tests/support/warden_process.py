"""A warden on the parts that its one argument, a JSON object, names."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.adapters.clock import SystemClock
from lab.adapters.harm_mark import HarmMarkFile
from lab.adapters.stack.shop_control import ShopControl
from lab.adapters.toxiproxy import ToxiproxyInjector
from lab.shop.topology import HOST
from lab.warden.app import serve
from lab.warden.assembly import assemble

wiring = json.loads(sys.argv[1])
folder = Path(wiring["folder"])


def restart() -> None:
    """What supervisor does in the local stack."""
    record = Path(wiring["toxiproxy_record"])
    old = json.loads(record.read_text())
    os.kill(old["pid"], signal.SIGKILL)
    new = subprocess.Popen(old["command"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record.write_text(json.dumps({**old, "pid": new.pid}))


async def restart_toxiproxy() -> None:
    await asyncio.to_thread(restart)


serve(
    assemble(
        injector=ToxiproxyInjector(HOST, wiring["toxiproxy_port"]),
        services=ShopControl(wiring["keeper_url"]),
        restart=restart_toxiproxy,
        edge_ports=wiring["edge_ports"],
        clock=SystemClock(),
        mark=HarmMarkFile(folder),
        run_dir=folder,
        log_dir=folder,
    ),
    HOST,
    wiring["port"],
)
