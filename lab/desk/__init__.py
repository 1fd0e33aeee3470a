"""Web pages and their JSON API, over case files alone: read, solve and understand a case."""
