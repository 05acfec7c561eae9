"""Engines: what starts the workers of a run, here or on a cluster. Each needs a package, installed as an extra."""
