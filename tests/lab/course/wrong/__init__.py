"""Wrong answers to the exercises: misconceptions that learners really have. A file for each file of checks.

Each has `WRONG`: exercise → list of (answers, part of the message), three to five for each exercise.
"""
