"""Who may boot: the built-in access backends."""
