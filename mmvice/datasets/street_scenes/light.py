"""Weather, time of day and camera, which change the colours of a whole scene."""

from dataclasses import dataclass

import cv2
import numpy as np

# (zenith, horizon) of the sky in BGR
_SKIES = (
    ((196, 140, 78), (226, 208, 186)),
    ((206, 168, 120), (214, 206, 196)),
    ((150, 146, 142), (186, 184, 180)),
    ((208, 206, 204), (228, 227, 226)),
    ((112, 108, 106), (150, 148, 146)),
    ((128, 92, 76), (120, 158, 214)),
    ((92, 72, 58), (104, 98, 96)),
)


@dataclass
class Light:
    """One scene's light and camera.

    ``sun_side`` is the side of the light (-1 left, 1 right). ``contrast`` is between lit and shaded fronts (0..1).
    ``visibility`` is the distance in metres at which haze has replaced two thirds of a colour.
    """

    zenith: np.ndarray
    horizon: np.ndarray
    clouds: float
    sun_side: int
    contrast: float
    visibility: float
    lit_windows: float
    exposure: float
    cast: np.ndarray
    gamma: float
    blur: float
    noise: float

    def facing(self, side: int) -> float:
        """Brightness of an upright surface that faces left (-1), right (1) or the camera (0)."""
        if side == 0:
            return 1 - 0.25 * self.contrast
        return 1.0 if side == self.sun_side else 1 - 0.55 * self.contrast


def draw_light(generator: np.random.Generator) -> Light:
    """Light of a random day, season and camera."""
    kind = int(generator.integers(len(_SKIES)))
    zenith, horizon = np.array(_SKIES[kind], np.float64) * generator.uniform(0.85, 1.1)
    dark = kind in (5, 6)
    return Light(
        zenith=np.clip(zenith, 0, 250),
        horizon=np.clip(horizon, 0, 250),
        clouds=generator.uniform(0.15, 1) * (1 if kind != 3 else 0.3),
        sun_side=int(generator.choice([-1, 1])),
        contrast=generator.uniform(0.4, 0.95) if kind in (0, 1) else generator.uniform(0, 0.4),
        visibility=float(np.exp(generator.uniform(np.log(60), np.log(500)))),
        lit_windows=generator.uniform(0.1, 0.5) if dark else generator.uniform(0, 0.06),
        exposure=generator.uniform(0.5, 0.8) if dark else generator.uniform(0.72, 1.12),
        cast=np.exp(generator.normal(0, 0.07, 3)),
        gamma=float(np.exp(generator.normal(0, 0.16))),
        blur=generator.uniform(0.3, 0.75) if generator.random() < 0.4 else 0.0,
        noise=generator.uniform(0.5, 5),
    )


def add_haze(image: np.ndarray, depth: np.ndarray, light: Light) -> np.ndarray:
    """Blend everything but the sky into the horizon's colour by distance; (H, W, 3) uint8 to float32."""
    kept = np.exp(depth * np.float32(-1 / light.visibility))
    kept[depth > 1e3] = 1
    haze = light.horizon.astype(np.float32)
    return (image - haze) * kept[..., None] + haze


def expose(image: np.ndarray, light: Light, generator: np.random.Generator) -> np.ndarray:
    """Simulate a small camera: exposure, white balance, tone curve, blur, noise; float32 to uint8."""
    height, width = image.shape[:2]
    gain = np.clip(light.exposure * light.cast, 0.2, 2).astype(np.float32)
    scaled = np.maximum(image * (gain / 255), 0)
    image = 255 * (1 - np.exp(-1.35 * scaled**light.gamma)) / (1 - np.exp(-1.35, dtype=np.float32))
    if light.blur:
        image = cv2.GaussianBlur(image, (0, 0), light.blur * max(height, 96) / 96)
    image += generator.standard_normal(image.shape, np.float32) * np.float32(light.noise)
    return np.clip(image, 0, 255).astype(np.uint8)
