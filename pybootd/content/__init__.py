"""From the name that a client asks for to the bytes that it gets: the only way there is."""
