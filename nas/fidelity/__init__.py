"""Does the short training of a search rank networks as a long one would? ``python -m nas.fidelity``."""
