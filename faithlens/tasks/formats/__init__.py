"""How are chains of thought read from the files that other tools write?"""
