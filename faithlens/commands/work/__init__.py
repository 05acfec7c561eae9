"""An audit as units of work, which any number of workers do: the list, a worker, and what comes after the last unit."""
