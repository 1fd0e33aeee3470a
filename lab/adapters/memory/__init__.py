"""A fake of every port, held to the same contract tests as the real thing."""
