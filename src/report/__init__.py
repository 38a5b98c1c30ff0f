"""The listening report: one HTML page, its charts, pictures and players."""
