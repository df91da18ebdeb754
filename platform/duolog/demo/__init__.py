"""`make demo`: train on generated sequences, then break the stack for real and find it in its own logs."""
