"""Learning: the similarity encoder, prototypes, the head, and all of it in order."""
