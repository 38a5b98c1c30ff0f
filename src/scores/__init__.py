"""What an evaluation says of each utterance and of all: scores, tables, groups, examples."""
