"""What the lab needs of the world; `adapters` holds the real things and a fake of each."""
