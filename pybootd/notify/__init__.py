"""Subscribers of the event stream that tell somebody: the log, UDP listeners, web hooks."""
