"""How a case comes to be: from preflight to the opened case."""
