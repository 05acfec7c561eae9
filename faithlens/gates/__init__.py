"""Does every link from question to steps to conclusion to answer hold? The gates of a verdict, and the word on them."""
