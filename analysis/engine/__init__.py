"""Analysis without Django: prompts, replies, grounding."""
