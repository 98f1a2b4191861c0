"""mmvice's own parts against straightforward implementations of the same, side by side: ``make benchmark``."""

import os

os.environ.setdefault('KINETO_LOG_LEVEL', '6')  # PyTorch's profiler tells its starts; read when torch is imported
