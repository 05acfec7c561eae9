"""What hooks cost on a given model: faithlens against the ways one would do the same without it.

Each subject is a module with a `measure`: it makes a trace for the model, checks that all rivals give the same numbers,
and times them in turns. Rivals are written as their own documentation teaches.
"""
