"""Figures, one file a family: interactive ones in plotly, those for a paper in matplotlib."""
