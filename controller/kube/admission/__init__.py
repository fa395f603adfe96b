"""Admission of our own resources: what cannot work is refused before it is stored, in the API's words; defaults are filled in."""
