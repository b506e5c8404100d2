"""The checks of the exercises, a file for each lesson."""
