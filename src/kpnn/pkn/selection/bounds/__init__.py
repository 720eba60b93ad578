"""Lower bounds: the linear relaxation and the cuts that tighten it."""
