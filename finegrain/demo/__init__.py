"""A page to try a run on: what it answers, apart from how a browser shows it."""
