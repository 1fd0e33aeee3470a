"""Cases on a disk: folders, files that carry one, recordings, and the books kept of runs."""
