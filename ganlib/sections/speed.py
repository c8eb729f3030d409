"""Ways to a faster step."""

from ganlib.sections.base import Section


class SpeedSpec(Section):
    """Ways to a faster step that may change the last bits of its numbers; none is taken unless asked for.

    compile: both networks' training passes through torch.compile. cuda_graphs: the players' updates of an
    iteration are recorded once and replayed as one piece, on CUDA alone.
    """

    compile: bool = False
    cuda_graphs: bool = False
