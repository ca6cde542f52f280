"""Which alpha, beta and gamma scale a network best, and the family that follows: ``python -m nas.scale``."""
