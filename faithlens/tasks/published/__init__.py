"""Files that authors released with their papers, read as they are: what they hold, checked key by key."""
