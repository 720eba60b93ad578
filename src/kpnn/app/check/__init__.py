"""`kpnn check`: what a study's run will do, said in seconds, without training and without writing."""
