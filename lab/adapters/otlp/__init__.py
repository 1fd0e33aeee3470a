"""OTLP as JSON: its fields, its traces, and sending it."""
