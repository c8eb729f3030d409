"""Changes of images, each made with a probability that can be turned (Karras et al., 2020, appendix B).

Positions are in pixels from the middle of the image, x to the right and y downwards; colours are RGB in [-1, 1].
A matrix of positions maps those of the changed image to those that they are read from, the inverse of the change.
Outside of the image lies its mirror image. Everything is done for all images at once, by multiplications and by
reading at indices, so gradients, and gradients of gradients, flow, and a GPU gives the same bytes each time.
"""

from math import pi

import torch
from torch import Tensor, nn

from ganlib.runtime.batch_sharding import global_count, local_items

# The low-pass filter of the Daubechies wavelet sym6, as the paper has it; orthogonal to its own shifts by 2.
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
# The filter's centre of mass lies not in its middle, 5.5: what it gives lies so far from where pixels do.
_PHASE = sum(index * tap for index, tap in enumerate(SYM6)) / sum(SYM6) - 5.5
# Samples beside the image that the filter reads on its way back to the first and to the last pixel.
_BEFORE, _AFTER = 5, 6
# Strengths of appendix B, the same for all data sets.
TRANSLATION, SCALE, FRACTION, BRIGHTNESS, CONTRAST, SATURATION = 0.125, 0.2, 0.125, 0.2, 0.5, 1.0
_UNIFORMS, _CHANCES, _NORMALS = 8, 13, 7


class AdaptiveChanges(nn.Module):
    """Change each image (N, C, S, S) by its own random numbers; same shape.

    probability: a buffer (), so that it changes on the device and checkpoints hold it. blit: mirrored, turned by
    multiples of 90°, moved by whole pixels. geometry: scaled, turned, stretched, moved by parts of a pixel.
    colour: brightness, contrast, inverted luma, hue and saturation; with one channel the first three.
    """

    probability: Tensor
    _up: Tensor
    _down: Tensor

    def __init__(self, size: int, blit: bool = True, geometry: bool = True, colour: bool = True) -> None:
        super().__init__()
        self._blit = blit
        self._geometry = geometry
        self._colour = colour
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("_up", upsampling(size), persistent=False)
        self.register_buffer("_down", downsampling(size), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the changed images: blit first, then geometry, then colour."""
        # Filters and matrices in bfloat16 would blur and tint the images that they only move.
        with torch.autocast(images.device.type, enabled=False):
            changed = images.to(torch.promote_types(images.dtype, torch.float32))
            uniform, chance = _draw_uniform(changed)
            # What nothing reads must not be drawn: a compiled pass leaves it out, and later numbers would differ.
            normal = _draw_normal(changed) if self._geometry or self._colour else uniform
            probability = self.probability.to(changed.dtype)
            happens = chance < probability
            if self._blit:
                changed = blit(changed, *choose_blit(uniform[:4], happens[:3], changed.shape[3]))
            if self._geometry:
                # Two rotations, so that with probability p there is one at least (appendix B.2).
                turns = chance[3:5] < 1 - (1 - probability).sqrt()
                does = torch.stack([happens[5], turns[0], happens[6], turns[1], happens[7]])
                matrices = choose_geometry(uniform[4:6], normal[:4], does, changed.shape[3])
                warped = warp(changed, matrices, self._up, self._down)
                changed = torch.where(does.any(0)[:, None, None, None], warped, changed)
            if self._colour:
                matrices = choose_colour(uniform[6:], normal[4:], happens[8:])
                changed = recolour(changed, matrices, hue_and_saturation=changed.shape[1] == 3)
            return changed.to(images.dtype)


def choose_blit(uniform: Tensor, does: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return for each image whether it is mirrored (N,), its quarter turns (N,), and its way right and down (N,).

    uniform: (4, N) in [0, 1). does: (3, N), whether the image is mirrored or not by chance, turned, moved.
    """
    mirrored = does[0] & (uniform[0] < 0.5)
    turns = (uniform[1] * 4).floor().long() * does[1]
    ways = ((uniform[2:4] * 2 - 1) * TRANSLATION * size).round().long() * does[2]
    return mirrored, turns, ways[0], ways[1]


def blit(images: Tensor, mirrored: Tensor, turns: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Mirror left and right, turn clockwise by 90° so many times, then move; exact copies of pixels (B.1)."""
    count, _, size, _ = images.shape
    grid = torch.arange(size, device=images.device)
    y = _mirror_index(grid[None, :, None] - down[:, None, None], size)
    x = _mirror_index(grid[None, None, :] - right[:, None, None], size)
    y, x = y.expand(count, size, size), x.expand(count, size, size)
    # What a turn by 90° clockwise shows at (x, y) lay at (y, S - 1 - x).
    ways = torch.stack([x, y, size - 1 - x, size - 1 - y])
    turns = turns[None, :, None, None].expand(1, count, size, size)
    from_x, from_y = ways.gather(0, turns)[0], ways.gather(0, (turns + 1) % 4)[0]
    from_x = torch.where(mirrored[:, None, None], size - 1 - from_x, from_x)
    return _read(images, from_y, from_x)


def choose_geometry(uniform: Tensor, normal: Tensor, does: Tensor, size: int) -> Tensor:
    """Return matrices (N, 2, 3) from positions in changed images to those in the given ones.

    uniform: (2, N), of the two rotations. normal: (4, N), of scale, stretch and both ways. does: (5, N), which of
    scale, first rotation, stretch, second rotation and translation happen.
    """
    scale = torch.exp2(normal[0] * SCALE * does[0])
    stretch = torch.exp2(normal[1] * SCALE * does[2])
    first, second = (uniform * 2 - 1) * pi * does[1::2]
    ways = normal[2:4] * FRACTION * size * does[4]
    # The image is scaled, turned, stretched, turned and moved: the inverses in this order.
    diagonals = _diagonal(1 / scale, 1 / scale), _diagonal(1 / stretch, stretch)
    linear = diagonals[0] @ _rotation(-first) @ diagonals[1] @ _rotation(-second)
    return torch.cat([linear, -linear @ ways.T[:, :, None]], dim=2)


def warp(images: Tensor, matrices: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """Read images (N, C, S, S) at the positions that matrices (N, 2, 3) give, at twice the resolution (B.2).

    The wavelet's filter, `upsampling(S)`, brings the image to 2S×2S, between samples it is interpolated in
    straight lines, and the same filter, `downsampling(S)`, brings it back to S×S.
    """
    size = images.shape[3]
    up, down = up.to(images.dtype), down.to(images.dtype)
    doubled = up @ images @ up.T
    steps = torch.arange(-_BEFORE, 2 * size - 1 + _AFTER, device=images.device, dtype=images.dtype)
    steps = (steps + 0.5 - _PHASE) / 2 - size / 2
    across, along = matrices[:, :, 0], matrices[:, :, 1]
    places = across[:, :, None, None] * steps[None, None, None, :] + along[:, :, None, None] * steps[:, None]
    places = places + matrices[:, :, 2, None, None]
    # Folded at the edges of the image, then counted in samples from the first one.
    folded = 2 * size - ((2 * places + size).remainder(4 * size) - 2 * size).abs() - 0.5 + _PHASE
    least = folded.floor()
    weight_x, weight_y = (folded - least).unbind(1)
    x, y = least.long().unbind(1)
    (left, right), (top, bottom) = ((at.clamp(min=0), (at + 1).clamp(min=0, max=2 * size - 1)) for at in (x, y))
    weight_x, weight_y = weight_x[:, None], weight_y[:, None]
    upper = torch.lerp(_read(doubled, top, left), _read(doubled, top, right), weight_x)
    lower = torch.lerp(_read(doubled, bottom, left), _read(doubled, bottom, right), weight_x)
    return down @ torch.lerp(upper, lower, weight_y) @ down.T


def choose_colour(uniform: Tensor, normal: Tensor, does: Tensor) -> Tensor:
    """Return matrices (N, 3, 4) from RGB and 1 to RGB (B.3).

    uniform: (2, N), of the inversion and the hue. normal: (3, N), of brightness, contrast and saturation. does:
    (5, N), which of brightness, contrast, inversion, hue and saturation happen.
    """
    one = torch.eye(3, device=uniform.device, dtype=uniform.dtype)
    # The axis of greys: luma runs along it, hue around it, saturation away from it.
    along = torch.full_like(one, 1 / 3)
    brightness = normal[0] * BRIGHTNESS * does[0]
    contrast = torch.exp2(normal[1] * CONTRAST * does[1])
    inverted = (uniform[0] < 0.5) & does[2]
    angle = (uniform[1] * 2 - 1) * pi * does[3]
    saturation = torch.exp2(normal[2] * SATURATION * does[4])
    flip = one - 2 * inverted.to(one)[:, None, None] * along
    # The cross product with that axis; made of `one`, because a CUDA graph cannot copy numbers to its device.
    cross = (one.roll(-1, 1) - one.roll(1, 1)) / 3**0.5
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    turn = along + cosine * (one - along) + sine * cross
    saturate = along + saturation[:, None, None] * (one - along)
    linear = saturate @ turn @ flip * contrast[:, None, None]
    return torch.cat([linear, linear.sum(2, keepdim=True) * brightness[:, None, None]], dim=2)


def recolour(images: Tensor, matrices: Tensor, hue_and_saturation: bool = True) -> Tensor:
    """Apply matrices (N, 3, 4) to images of three channels; to each channel of others what they do to greys.

    Brightness comes before contrast, which scales it.
    """
    if hue_and_saturation:
        pixels = (matrices[:, :, :3] @ images.flatten(2)).reshape(images.shape)
        return pixels + matrices[:, :, 3, None, None]
    greys = matrices.mean(1)
    factor, offset = greys[:, :3].sum(1), greys[:, 3]
    return images * factor[:, None, None, None] + offset[:, None, None, None]


def _draw_uniform(images: Tensor) -> tuple[Tensor, Tensor]:
    """Draw the uniform numbers (8, N) of a batch, and those that decide what happens (13, N)."""
    count = global_count(len(images))
    uniform = torch.rand(_UNIFORMS + _CHANCES, count, device=images.device, dtype=images.dtype)
    uniform = local_items(uniform, dim=1)
    return uniform[:_UNIFORMS], uniform[_UNIFORMS:]


def _draw_normal(images: Tensor) -> Tensor:
    """Draw the normal numbers (7, N) of a batch."""
    count = global_count(len(images))
    return local_items(torch.randn(_NORMALS, count, device=images.device, dtype=images.dtype), dim=1)


def _read(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return images (N, C, H, W) read at rows and columns (N, h, w), as (N, C, h, w)."""
    count, channels, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
    first = torch.arange(count, device=images.device)[:, None, None] * height
    # Read so, and not with `gather`, the gradient is summed up in the same order each time, also on a GPU.
    return pixels[(first + y) * width + x].permute(0, 3, 1, 2)


def _mirror_index(index: Tensor, size: int) -> Tensor:
    """Fold indices at the edges of the image: -1 is 0 again, and S is S - 1."""
    folded = index.remainder(2 * size)
    return torch.minimum(folded, 2 * size - 1 - folded)


def _diagonal(first: Tensor, second: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([first, second], dim=1))


def _rotation(angle: Tensor) -> Tensor:
    """Return matrices (N, 2, 2) that turn by angles (N,), from x towards y, so clockwise on the screen."""
    sine, cosine = angle.sin(), angle.cos()
    return torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)


def upsampling(size: int) -> Tensor:
    """Return the matrix (2S, S) from pixels, and those mirrored at both edges, to samples at twice the rate."""
    wide = downsampling(3 * size)[:, _BEFORE + 2 * size : _BEFORE + 4 * size].T * 2
    return wide[:, size : 2 * size] + wide[:, :size].flip(1) + wide[:, 2 * size :].flip(1)


def downsampling(size: int) -> Tensor:
    """Return the matrix (S, 2S + 10) from samples, those beside the image among them, to pixels."""
    # Row i holds the filter, with the sum 1, from column 2i on.
    matrix = torch.zeros(size, 2 * size + _BEFORE + _AFTER - 1)
    rows, taps = torch.arange(size)[:, None], torch.arange(len(SYM6))[None, :]
    matrix[rows, 2 * rows + taps] = (torch.tensor(SYM6) / 2**0.5).expand(size, -1)
    return matrix
