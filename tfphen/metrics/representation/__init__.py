"""Geometry of hidden features: classes, units and similarity of networks."""
