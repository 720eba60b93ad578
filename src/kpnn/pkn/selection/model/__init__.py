"""What is solved: rows, flow networks, the formulation and the integer programmes made of it."""
