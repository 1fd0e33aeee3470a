"""What a person sees: domain objects as Rich renderables, and as rows for ``--json``.

Nothing here reads or writes anything but the console it is given.
"""
