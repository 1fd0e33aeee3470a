"""The shoppers: load from Locust, each request the root of its own trace."""
