"""One file for each claim of the ledger's second part: where batch norm helps and fails in later work."""
