"""What the numbers that several commands take may be, each as the type of its flag.

    batch_size: BatchSize = 32

Every bound leaves room for whatever a machine of the next years can do; it is there for slips of
the finger. `finegrain.command.run_command` refuses what lies outside.
"""

from typing import Annotated

from annotated_types import Interval

# All that numpy, scikit-learn and Keras take as a seed.
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]
# Side in pixels; below 32 no backbone has a feature map left.
ImageSize = Annotated[int, Interval(ge=32, le=4096)]
BatchSize = Annotated[int, Interval(ge=1, le=100_000)]
Epochs = Annotated[int, Interval(ge=1, le=10_000)]
# Of a stage that may be left out.
StageEpochs = Annotated[int, Interval(ge=0, le=10_000)]
Patience = Annotated[int, Interval(ge=0, le=10_000)]
LearningRate = Annotated[float, Interval(gt=0, le=100)]
LossWeight = Annotated[float, Interval(ge=0, le=1000)]
# A part that may be nothing, but never all.
Share = Annotated[float, Interval(ge=0, lt=1)]
# A part that is neither nothing nor all.
ProperShare = Annotated[float, Interval(gt=0, lt=1)]
Probability = Annotated[float, Interval(ge=0, le=1)]
# Augmented views of an image.
Views = Annotated[int, Interval(ge=0, le=1000)]
# Width of a layer that may be left out.
Width = Annotated[int, Interval(ge=0, le=100_000)]
Threads = Annotated[int, Interval(ge=1, le=256)]
Gigabytes = Annotated[float, Interval(ge=0, le=1_000_000)]
# Of images, classes, people, repetitions.
Count = Annotated[int, Interval(ge=1, le=100_000_000)]
CountOrZero = Annotated[int, Interval(ge=0, le=100_000_000)]
