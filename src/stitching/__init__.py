"""Long recordings in chunks: where they are cut, who is who in each, and how they become tracks again."""
