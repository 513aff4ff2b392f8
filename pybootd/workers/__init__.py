"""Worker processes: they carry out transfers that the main process has decided, logs and counts."""
