"""The Go programs of the local stack: found, or built."""
