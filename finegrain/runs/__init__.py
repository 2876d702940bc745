"""The run folder and what stands in it: settings, stages, predictions, results."""
