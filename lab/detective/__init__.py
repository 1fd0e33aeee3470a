"""The detective: ranks who did it from requests and spans alone. It has never seen a scenario."""
