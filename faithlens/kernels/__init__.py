"""How are attention, answer scores and comparisons computed fast, and what do they mean in plain torch?"""
