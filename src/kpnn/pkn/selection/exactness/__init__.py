"""Proofs: integer rounds, exact answers about the solutions within a cost, and the certificate check."""
