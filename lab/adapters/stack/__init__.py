"""The parts of the stack: what each is, how it starts, whether it is ready."""
