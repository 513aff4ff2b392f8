"""HTTP: boot files over twisted.web."""
