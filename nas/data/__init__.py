"""Image sets as arrays that trials share."""
