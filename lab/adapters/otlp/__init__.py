"""OTLP as JSON: its fields, its traces, its files, and sending it."""
