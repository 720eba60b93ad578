"""What computes a KPNN: index arrays of its DAG, compiled kernels with their memory, and sums along edges for Keras.

Nothing here knows a Keras model; `kpnn.nn.compiled_model` brings the two together.
"""
