"""What `recipe_speed.py` and the recipe as first coded are made of."""
