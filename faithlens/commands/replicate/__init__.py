"""`replicate`: the table of a paper beside the same numbers made from the files that its authors released."""
