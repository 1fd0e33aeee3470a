"""``python -m lab.desk``: the desk's process; the supervisor or ``lab desk`` starts it."""

from lab.desk.server import serve
from lab.settings import Settings

serve(Settings())
