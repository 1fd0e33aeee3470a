"""The victims: a small shop of real services that never knows it is being hurt."""
