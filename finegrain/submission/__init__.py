"""Answers to unlabelled photographs, and the files that leaderboards take."""
