"""mmvice's own parts against straightforward implementations of the same, side by side: ``make benchmark``."""
