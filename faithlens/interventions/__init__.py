"""Which edited versions of a chain of thought can be made: cut, hidden, exchanged, reworded or filled?"""
