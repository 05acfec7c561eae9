"""What is run: which edited versions of a trace, with which captures, packed into which rows? (No forward runs here.)"""
