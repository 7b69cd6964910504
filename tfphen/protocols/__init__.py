"""What is trained, as plain data: protocols of several phenomena, and long ones of a single one.

Light to import.
"""
