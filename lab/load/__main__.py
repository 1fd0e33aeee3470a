"""``python -m lab.load [worker]``: the load process, or one that shares its load."""

import sys

if sys.argv[1:] == ["worker"]:
    from lab.load.worker import main
else:
    from lab.load.driver import main

sys.exit(main())
