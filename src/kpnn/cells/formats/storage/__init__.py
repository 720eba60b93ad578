"""What several formats share: HDF5 read with care, compressed matrices read in pieces."""
