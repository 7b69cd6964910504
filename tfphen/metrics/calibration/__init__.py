"""Calibration errors and proper scoring rules of predicted probabilities."""
