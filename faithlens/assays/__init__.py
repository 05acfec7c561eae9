"""Published tests of chain-of-thought faithfulness, one a file, and the battery that runs them together.

Each test is a module with two functions, `conditions` and `score`; its paper and what was changed stand at its top.
"""
