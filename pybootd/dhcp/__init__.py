"""BOOTP, DHCP and PXE: codecs, the decision, and the thin edge that carries them."""
