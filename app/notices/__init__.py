"""Notices: what an organisation is told of, once, and whether somebody there has read it.

Owns: notices. Does not own: what is told (each package tells its own), nor how it is carried
further than the API. Stands below every package that has something to tell, accounts included.
"""
