"""The peer of benchmarks/ingest.py: lines as people first write it with Django REST Framework."""
