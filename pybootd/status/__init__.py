"""The boot dashboard, its API and its metrics."""
