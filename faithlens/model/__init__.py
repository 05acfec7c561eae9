"""What is the model: its weights, its tokens, its parts, its thoughts, and the steps of its chain of thought?"""
