"""What the lab reasons about, pure and frozen: no I/O, no clock, nothing of ours imported."""
