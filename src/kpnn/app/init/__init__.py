"""`kpnn init`: looks into the user's files and writes a study's configuration, every choice explained."""
