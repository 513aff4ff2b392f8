"""Which address belongs to which machine, and where that is written down."""
