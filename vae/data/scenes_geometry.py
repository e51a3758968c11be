"""Ray-cast the geometry of one scene into the coefficient maps of its three colors.

A room with a floor, four walls and an open top holds one object at its center; the camera circles the object. Lighting
is fixed and surfaces are matte, so for a fixed geometry every pixel is linear in the three colors:

    image = sky * sky_color + floor * c_floor + wall * c_wall + object * c_object

This module computes the four maps, each the fraction of the pixel that the surface covers times its shading, averaged
over a grid of sub-pixel rays. The layout follows the published description of 3D Shapes (Burgess and Kim 2018): the
object stands on the floor, light comes from the upper left, the wall opposite the camera is unshaded, the floor in
shadow keeps 0.43 of its color. Textures are omitted.

Lengths are in scene units, y up, floor at y = 0, the camera at +z for orientation 0.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["MAPS", "SHAPES", "coefficient_maps", "coefficient_maps_of"]

MAPS = ("sky", "floor", "wall", "object")
SHAPES = ("cube", "cylinder", "sphere", "capsule")
_CUBE, _CYLINDER, _SPHERE, _CAPSULE = range(4)
_RADIUS = 1.1
_CAPSULE_HEIGHT = 4.2
_BOUNDS = (1.733, 1.415, 1.001, 1.91)
"""Radii of bounding spheres about the shapes' centers, slightly too large, in units of `_RADIUS`."""
_CAMERA_DISTANCE, _CAMERA_HEIGHT, _PITCH = 6.0, 3.0, math.radians(5.6)
_FOCAL = 0.75
_ROOM, _WALL_HEIGHT = 8.0, 5.8
_LIGHT = np.array([-0.35, 1.0, 0.5]) / math.sqrt(0.35**2 + 1.0 + 0.5**2)
_LIGHT_X, _LIGHT_Y, _LIGHT_Z = (float(v) for v in _LIGHT)
_AMBIENT, _DIFFUSE, _SHADOW = 0.5, 0.55, 0.43
_BACK_WALL, _LEFT_WALL, _RIGHT_WALL = 1.0, 0.62, 0.8
_FAR = 1e9
_BIAS = 1e-5


class _Ray(NamedTuple):
    """A ray in scene coordinates: origin and unit direction."""

    ox: float
    oy: float
    oz: float
    dx: float
    dy: float
    dz: float


class _Hit(NamedTuple):
    """Where a ray enters a surface: distance, `_FAR` if it misses, and unit normal."""

    t: float
    nx: float
    ny: float
    nz: float


@njit(cache=True)
def _hit_cube(ray: _Ray, r: float) -> _Hit:
    """Intersect a ray with a cube of half side `r` that stands on the floor."""
    ox, oy, oz, dx, dy, dz = ray
    near, far, axis = -_FAR, _FAR, 0
    for k in range(3):
        o = ox if k == 0 else (oy - r if k == 1 else oz)
        d = dx if k == 0 else (dy if k == 1 else dz)
        if abs(d) < 1e-12:
            if abs(o) > r:
                return _Hit(_FAR, 0.0, 0.0, 0.0)
            continue
        a, b = (-r - o) / d, (r - o) / d
        enter, leave = min(a, b), max(a, b)
        if enter > near:
            near, axis = enter, k
        far = min(far, leave)
    if near > far or near < _BIAS:
        return _Hit(_FAR, 0.0, 0.0, 0.0)
    return _Hit(
        near,
        -math.copysign(1.0, dx) if axis == 0 else 0.0,
        -math.copysign(1.0, dy) if axis == 1 else 0.0,
        -math.copysign(1.0, dz) if axis == 2 else 0.0,
    )


@njit(cache=True)
def _hit_sphere(ray: _Ray, r: float, y: float) -> _Hit:
    """Intersect a ray with a sphere of radius `r` centered at height `y`."""
    ox, oy, oz, dx, dy, dz = ray
    py = oy - y
    b = ox * dx + py * dy + oz * dz
    discriminant = b * b - (ox * ox + py * py + oz * oz - r * r)
    if discriminant < 0.0:
        return _Hit(_FAR, 0.0, 0.0, 0.0)
    t = -b - math.sqrt(discriminant)
    if t < _BIAS:
        return _Hit(_FAR, 0.0, 0.0, 0.0)
    return _Hit(t, (ox + t * dx) / r, (py + t * dy) / r, (oz + t * dz) / r)


@njit(cache=True)
def _hit_cylinder(ray: _Ray, r: float, low: float, high: float) -> _Hit:
    """Intersect a ray with an upright cylinder between heights `low` and `high`."""
    ox, oy, oz, dx, dy, dz = ray
    best, nx, ny, nz = _FAR, 0.0, 0.0, 0.0
    a = dx * dx + dz * dz
    b = ox * dx + oz * dz
    discriminant = b * b - a * (ox * ox + oz * oz - r * r)
    if a > 1e-12 and discriminant >= 0.0:
        t = (-b - math.sqrt(discriminant)) / a
        y = oy + t * dy
        if t > _BIAS and low <= y <= high:
            best, nx, nz = t, (ox + t * dx) / r, (oz + t * dz) / r
    if abs(dy) > 1e-12:
        cap = high if dy < 0.0 else low
        t = (cap - oy) / dy
        x, z = ox + t * dx, oz + t * dz
        if _BIAS < t < best and x * x + z * z <= r * r:
            best, nx, ny, nz = t, 0.0, -math.copysign(1.0, dy), 0.0
    return _Hit(best, nx, ny, nz)


@njit(cache=True)
def _passes_by(ray: _Ray, radius: float, y: float) -> bool:
    """Whether the ray's line misses a sphere at height `y`; most rays do, and are rejected early."""
    ox, oy, oz, dx, dy, dz = ray
    oy -= y
    along = ox * dx + oy * dy + oz * dz
    return ox * ox + oy * oy + oz * oz - along * along > radius * radius


@njit(cache=True)
def _hit_object(shape: int, scale: float, ray: _Ray) -> _Hit:
    """Intersect a ray with the object."""
    r = _RADIUS * scale
    height = _CAPSULE_HEIGHT * scale if shape == _CAPSULE else 2.0 * r
    if _passes_by(ray, _BOUNDS[shape] * r, 0.5 * height):
        return _Hit(_FAR, 0.0, 0.0, 0.0)
    if shape == _CUBE:
        return _hit_cube(ray, r)
    if shape == _CYLINDER:
        return _hit_cylinder(ray, r, 0.0, 2.0 * r)
    if shape == _SPHERE:
        return _hit_sphere(ray, r, r)
    top = _CAPSULE_HEIGHT * scale - r
    body = _hit_cylinder(ray, r, r, top)
    lower = _hit_sphere(ray, r, r)
    upper = _hit_sphere(ray, r, top)
    if lower.t <= body.t and lower.t <= upper.t:
        return lower
    return upper if upper.t <= body.t else body


@njit(cache=True)
def _trace(shape: int, scale: float, ray: _Ray) -> tuple[int, float]:
    """Return the index of the surface seen along a ray (sky 0, floor 1, wall 2, object 3) and its shading."""
    ox, oy, oz, dx, dy, dz = ray
    hit = _hit_object(shape, scale, ray)
    if hit.t < _FAR:
        lit = hit.nx * _LIGHT_X + hit.ny * _LIGHT_Y + hit.nz * _LIGHT_Z
        return 3, min(1.0, _AMBIENT + _DIFFUSE * max(0.0, lit))
    to_back = (-_ROOM - oz) / dz if dz < 0.0 else _FAR
    to_side = (math.copysign(_ROOM, dx) - ox) / dx if dx != 0.0 else _FAR
    to_wall = min(to_back, to_side)
    y = oy + to_wall * dy
    if y > _WALL_HEIGHT:
        return 0, 1.0
    if y >= 0.0:
        side = _LEFT_WALL if dx < 0.0 else _RIGHT_WALL
        return 2, _BACK_WALL if to_back <= to_side else side
    t = -oy / dy
    x, z = ox + t * dx, oz + t * dz
    shadow = _hit_object(shape, scale, _Ray(x, _BIAS, z, _LIGHT_X, _LIGHT_Y, _LIGHT_Z)).t < _FAR
    return 1, _SHADOW if shadow else 1.0


@njit(cache=True, nogil=True)
def _render(shape: int, scale: float, azimuth: float, resolution: int, samples: int) -> npt.NDArray[np.float32]:
    maps = np.zeros((4, resolution, resolution), np.float32)
    sin_a, cos_a = math.sin(azimuth), math.cos(azimuth)
    sin_p, cos_p = math.sin(_PITCH), math.cos(_PITCH)
    ox, oy, oz = _CAMERA_DISTANCE * sin_a, _CAMERA_HEIGHT, _CAMERA_DISTANCE * cos_a
    weight = np.float32(1.0 / (samples * samples))
    across = np.empty(resolution * samples)
    for k in range(resolution * samples):
        across[k] = (k // samples + (k % samples + 0.5) / samples) / resolution - 0.5
    for line in range(resolution * samples):
        v = -across[line]
        forward, dy = _FOCAL * cos_p + v * sin_p, v * cos_p - _FOCAL * sin_p
        for k in range(resolution * samples):
            u = across[k]
            dx, dz = u * cos_a - forward * sin_a, -u * sin_a - forward * cos_a
            length = math.sqrt(dx * dx + dy * dy + dz * dz)
            surface, shading = _trace(shape, scale, _Ray(ox, oy, oz, dx / length, dy / length, dz / length))
            maps[surface, line // samples, k // samples] += weight * np.float32(shading)
    return maps


def coefficient_maps(
    shape: int, scale: float, orientation_deg: float, resolution: int, samples: int = 4
) -> npt.NDArray[np.float32]:
    """Return the four coefficient maps of a scene's colors, in the order of `MAPS`.

    Args:
        shape: index into `SHAPES`.
        scale: size of the object; 1 is the middle of the data set's range.
        orientation_deg: azimuth of the camera about the object, in degrees.
        resolution: side of the square maps, in pixels.
        samples: rays per pixel along each axis.

    Returns:
        (4, resolution, resolution) in [0, 1]. The sky map is the fraction of each pixel that is sky.
    """
    assert 0 <= shape < len(SHAPES), shape
    return _render(int(shape), float(scale), math.radians(orientation_deg), int(resolution), int(samples))


def coefficient_maps_of(
    shapes: npt.NDArray[np.int64],
    scales: npt.NDArray[np.float64],
    orientations_deg: npt.NDArray[np.float64],
    resolution: int,
) -> npt.NDArray[np.float32]:
    """Return the maps (n, 4, resolution, resolution) of n scenes, computed on all processors."""
    maps = np.empty((len(shapes), len(MAPS), resolution, resolution), np.float32)

    def fill(k: int) -> None:
        maps[k] = coefficient_maps(shapes[k], scales[k], orientations_deg[k], resolution)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(len(shapes))))
    return maps
