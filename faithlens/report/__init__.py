"""What did a run find: the summary on the terminal, the report as a page, and exports for other tools."""
