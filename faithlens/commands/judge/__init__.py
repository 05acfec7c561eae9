"""`judge`: what do readers say of the chains under hints of a finished run?"""
