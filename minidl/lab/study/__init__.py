"""The machinery of a claim: its verdicts, intervals over seeds, kept runs, and the page."""
