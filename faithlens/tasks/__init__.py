"""Which questions does a model answer, what are their correct answers, and how is an answer read from text?"""
