"""Report: what a finished run knows, as one page that opens from disk."""
