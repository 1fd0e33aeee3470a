"""What a trace or a case shows; reads nothing of the scenario."""
