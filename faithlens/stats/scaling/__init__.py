"""Does faithfulness change with the size of a model or the difficulty of a task, beyond what accuracy explains?"""
