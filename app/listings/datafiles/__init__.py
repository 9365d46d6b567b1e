"""Data files: an uploaded table becomes Parquet that the gateway can serve.

Owns: reading CSV, JSON Lines and Parquet from strangers, inferring types, the folder of files.
Does not own: which listing a file belongs to, or who may upload it.
"""
