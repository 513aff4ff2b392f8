"""Sockets, interfaces and neighbours: what pybootd asks of the operating system's network."""
