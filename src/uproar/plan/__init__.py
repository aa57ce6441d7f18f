"""What is measured, and the cells that this means; imports no torch."""
