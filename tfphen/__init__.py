"""tfphen reproduces published phenomena of deep learning and says, with statistics, whether each showed."""

__version__ = "0.1.0"
