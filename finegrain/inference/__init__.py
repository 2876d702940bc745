"""The answers of a finished or frozen model for many images, as fast as the machine allows."""
