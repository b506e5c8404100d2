"""The living figure: runs that are recorded once, and the page on which a reader moves through them."""
