"""What a study needs besides its experiment: a claim and its verdicts, intervals, runs that are kept, and a page."""
