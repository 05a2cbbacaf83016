"""Gates: what is wrong with a library, what a new national format would break, who is how far.

Pure like the room they are in; the commands print what they find.
"""
