"""Images: from folders, archives and arrays to pixels."""
