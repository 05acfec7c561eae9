"""Which steps does each command take, from its options to the files it writes?"""
