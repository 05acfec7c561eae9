"""What do captures, edits and sweeps cost on a given model, with faithlens and with the alternatives?

Each benchmark is a module with a `measure`: it makes a trace for the model, checks that all rivals give the same
numbers, and times them in turns. Rivals are written as their own documentation teaches.
"""
