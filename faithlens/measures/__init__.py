"""What is each measure: the catalogue, and the pure functions that compute values from log-probabilities."""
