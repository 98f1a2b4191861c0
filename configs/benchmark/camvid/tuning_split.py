# The training images in two parts, for choosing settings without a look at the validation images: probes are fitted to
# two of the three drives and measured on the third, every second image of it, whose streets they have not seen. Places
# in the sorted list of names: drive 0001TP has 0 to 61, 0006R0 62 to 162, 0016E5 163 to 366.
fitted = [*range(163)]
held_out = [*range(163, 367, 2)]
