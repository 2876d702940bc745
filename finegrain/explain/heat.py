"""Heat: weighted feature maps, and how they are laid over a picture."""

import numpy as np
from PIL import Image

STRENGTH = 0.55
COLOURS = "turbo"


def weighted_heat(feature_maps: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Grad-CAM's heat (Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2).

    Each channel of the map counts as much as the score's gradient on it, averaged over all
    places; what speaks against is cut off. The hottest place of an image gets 1.

    Args:
        feature_maps: (N, h, w, D) float.
        gradients: (N, h, w, D) float, of the score with respect to the maps.

    Returns:
        (N, h, w) float32, 0 to 1; all 0 where nothing speaks for the score, or where a number
        is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        weights = gradients.astype(np.float64).mean(axis=(1, 2))
        heat = np.einsum("nhwd,nd->nhw", feature_maps.astype(np.float64), weights)
    heat[~np.isfinite(heat).all(axis=(1, 2))] = 0
    heat = np.maximum(heat, 0)
    hottest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, hottest, out=np.zeros_like(heat), where=hottest > 0).astype(np.float32)


def lay_over(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Colour a picture by its heat, from blue over green and yellow to red; cold is left alone.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        heat: (h, w) float, 0 to 1, over the whole picture.

    Returns:
        (H, W, 3) uint8; where all heat around is 0, the picture itself.
    """
    import matplotlib

    height, width = pixels.shape[:2]
    spread = Image.fromarray(heat.astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    spread = np.clip(np.asarray(spread), 0, 1)
    colours = matplotlib.colormaps[COLOURS](spread)[..., :3] * 255
    spread = spread[..., None]
    # A yellow flower and yellow heat would pass for one another.
    grey = pixels.mean(axis=2, keepdims=True)
    paled = pixels + (grey - pixels) * np.minimum(1, 3 * spread)
    share = STRENGTH * np.minimum(1, 2 * spread)
    return np.rint(paled * (1 - share) + colours * share).astype(np.uint8)


def fitted(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture squeezed to what a model takes, as `read_pixels` squeezes photographs.

    Args:
        pixels: (H, W, 3) uint8, RGB, of any size.
        size: (height, width) in pixels.

    Returns:
        (height, width, 3) uint8.

    Raises:
        ValueError: the array is no picture.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"`pixels` must be (H,W,3) uint8. Received: {pixels.dtype} {pixels.shape}")
    if pixels.shape[:2] == tuple(size):
        return pixels
    height, width = size
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)
