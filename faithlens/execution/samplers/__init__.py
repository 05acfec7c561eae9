"""Who draws chains of thought: faithlens itself, transformers' continuous batching, vLLM, or a server."""
