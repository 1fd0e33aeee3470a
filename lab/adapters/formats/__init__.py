"""What people have traces in, found out by content and read span by span."""
