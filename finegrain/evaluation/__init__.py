"""From a finished run to answers: predictions, submissions, metrics."""
