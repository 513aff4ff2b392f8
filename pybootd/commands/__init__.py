"""What the words of the command line do that ask, look and plan; the daemon loads none of it."""
