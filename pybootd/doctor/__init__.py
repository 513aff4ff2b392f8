"""C{pybootd doctor}: what is wrong on this host, and what to do about it."""
