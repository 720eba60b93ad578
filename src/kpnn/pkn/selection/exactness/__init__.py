"""Proofs: integer rounds, exact questions about all solutions within a cost, and the certificate."""
