"""What will be run: which versions of a trace, with which captures, in which packed rows? No forward runs here."""
