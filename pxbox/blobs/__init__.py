"""Where the bytes of files are kept: a storage behind one small interface."""
