"""Rooms of `tools/campaign.py`: the world it attacks, the attacks, and what counts as fallen."""
