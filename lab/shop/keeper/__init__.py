"""What starts, watches and ends the services."""
