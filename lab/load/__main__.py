"""``python -m lab.load``: the load process; see `lab.load.driver` for what it speaks."""

import sys

from lab.load.driver import main

sys.exit(main())
