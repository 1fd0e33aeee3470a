"""``python -m lab.warden``: the warden's process; the supervisor starts it, nobody else need."""

from lab.bootstrap import serve_warden
from lab.settings import Settings

serve_warden(Settings())
