"""Deadspan, a murder-mystery lab for distributed tracing."""

__version__ = "0.1.0"
