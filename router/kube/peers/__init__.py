"""Several routers as one: who is there, what each sees, what all agree on, and who has which part of a hard limit."""
