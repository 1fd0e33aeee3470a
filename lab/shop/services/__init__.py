"""The seven services: what a shopper meets, and what each asks of the others."""
