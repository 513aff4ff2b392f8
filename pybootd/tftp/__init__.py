"""TFTP: packets, options, the state of one transfer, and the thin edge that carries it."""
