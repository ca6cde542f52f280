"""Networks leave in the formats that people build with, and every export proves that it is the same network."""
