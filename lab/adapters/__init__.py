"""The real things behind the ports, and in `memory` a fake of each."""
