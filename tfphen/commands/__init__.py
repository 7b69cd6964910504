"""What the verbs of the command line do. Nothing heavy is imported before it is needed."""
