# The training images in two parts, for choosing settings without a look at the validation images: of each of the three
# drives the last fifth is held out, in one piece, as neighbouring frames are nearly the same picture. Places in the
# sorted list of names: drive 0001TP has 0 to 61, 0006R0 62 to 162, 0016E5 163 to 366.
held_out = [*range(50, 62), *range(143, 163), *range(326, 367)]
fitted = [*range(50), *range(62, 143), *range(163, 326)]
