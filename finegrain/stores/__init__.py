"""What was computed once, kept on disk: files of rows, and the folder they share."""
