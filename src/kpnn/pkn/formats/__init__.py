"""Files of edges, one module per kind; each reader only says, as text, what its file holds."""

from kpnn.pkn.formats.catalogue import FORMATS, EdgeFormat, FileFormat, format_of_name

__all__ = ["FORMATS", "EdgeFormat", "FileFormat", "format_of_name"]
