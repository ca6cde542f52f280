"""What a figure shows as plain data, and functions that draw it."""
