"""What does a user type in a terminal: the commands of `faithlens`, their options and their output."""
