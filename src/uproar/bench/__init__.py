"""Where science meets infrastructure: runs a spec, cell by cell."""
