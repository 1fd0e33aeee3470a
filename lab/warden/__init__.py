"""The only writer to Toxiproxy: faults are held under a lease, and no fault outlives it."""
