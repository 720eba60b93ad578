"""Files of edges, one kind a module; each reader only says, as text, what stands in its file."""

from kpnn.pkn.formats.catalogue import FORMATS, EdgeFormat, FileFormat, format_of_name

__all__ = ["FORMATS", "EdgeFormat", "FileFormat", "format_of_name"]
