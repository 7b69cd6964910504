"""Manifold mixup."""
