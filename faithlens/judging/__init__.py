"""Readers of chains: what does a chain of thought say about a hint, by words and by judge models?"""
