"""How is a plan run on a model, and how are chains of thought sampled?"""
