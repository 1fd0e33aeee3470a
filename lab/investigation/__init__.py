"""Use cases over ports: run a case, prove it, judge an accusation."""
