"""Arrays and frames that a Python program hands over."""
