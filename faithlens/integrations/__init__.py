"""faithlens inside other tools: a scorer and a solver for Inspect, and finished runs in experiment trackers."""
