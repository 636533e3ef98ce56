"""What vendors say: the vendor register, importers of their files, and the store of raw bytes and lines."""
