"""ASLR, attention separate heads layer replacement: a student for every head."""

from attnreplace.methods.alr import ALR


class ASLR(ALR):
    """The cut of ALR, with an independent network for every head over the same input."""

    name = "aslr"
    per_head = True
