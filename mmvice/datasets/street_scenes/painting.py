"""One painter for each kind of object: it draws colour, label and depth on the canvas from layout and light."""

import cv2
import numpy as np

from .canvas import FAR, Canvas
from .classes import BUILDING, PERSON, POLE, ROAD, SIDEWALK, SKY, VEGETATION, VEHICLE
from .layout import BACKDROP, NEAR, Block, Street, Thing
from .light import Light
from .materials import TILE, draw_colour, facade, noise_patch, noise_tiles


def paint_sky(canvas: Canvas, light: Light, generator: np.random.Generator) -> None:
    """A gradient from the horizon up, with clouds."""
    height, width = canvas.label.shape
    rows = min(int(np.clip(canvas.camera.horizon, 1, height)) + 4, height)
    coarse = (rows // 4 + 1, width // 4 + 1)
    rise = np.linspace(1, 0, coarse[0])[:, None, None] ** 1.2
    sky = light.horizon + (light.zenith - light.horizon) * rise
    clouds = noise_patch(generator, 2, *coarse, stretch=coarse[1] / 200)[..., None]
    cover = np.clip((clouds + generator.uniform(-0.8, 0.8)) * 0.7, 0, 1) * light.clouds
    white = light.horizon.mean() * generator.uniform(0.85, 1.12)
    sky = np.clip(sky + (white - sky) * cover * 0.85, 0, 252).astype(np.uint8)
    canvas.image[:rows] = cv2.resize(sky, (width, rows), interpolation=cv2.INTER_LINEAR)
    canvas.label[:rows] = SKY


def paint_backdrop(canvas: Canvas, light: Light, generator: np.random.Generator) -> None:
    """The background at the horizon: woods or roofs."""
    camera, width = canvas.camera, canvas.label.shape[1]
    wooded = generator.random() < 0.55
    colour = draw_colour(generator, 'vegetation' if wooded else 'building') * 0.8
    scale = camera.focal / BACKDROP
    foot = camera.horizon + scale * camera.height + 1
    tallest = generator.uniform(5, 16) * scale
    if not wooded:
        left = -5.0
        while left < width:
            right = left + generator.uniform(4, 16) * scale
            top = foot - tallest * generator.uniform(0.3, 1)
            shade = colour * generator.uniform(0.75, 1.25)
            canvas.polygon([(left, top), (right, top), (right, foot), (left, foot)], shade, BUILDING, BACKDROP)
            left = right + (generator.uniform(0, 8) * scale if generator.random() < 0.2 else 0)
        return
    crest = foot - tallest * (0.6 + 0.16 * noise_patch(generator, 1, 1, width, stretch=3)[0])
    rows = np.arange(canvas.label.shape[0])[:, None]
    roi = canvas.roi(np.array([[0, crest.min()], [width, foot]]))
    if roi is None:
        return
    mask = ((rows[roi[0]] >= crest) & (rows[roi[0]] <= foot)).astype(np.uint8)
    leaves = 1 + 0.14 * noise_patch(generator, 0, *mask.shape)[..., None]
    canvas.paste(roi, np.clip(colour * leaves, 0, 250).astype(np.uint8), mask, VEGETATION, BACKDROP)


def paint_ground(canvas: Canvas, street: Street, light: Light, generator: np.random.Generator) -> None:
    """Road, pavements and verges with their markings and shadows."""
    height, width = canvas.label.shape
    first, x, z = canvas.camera.ground(height, width)
    near = np.minimum(1, 9 / z)
    right = x > 0
    distance = np.abs(x)
    kerb, verge, front = (
        np.where(right, np.float32(pair[1]), np.float32(pair[0])) for pair in (street.kerb, street.verge, street.front)
    )
    crossed = np.zeros_like(z, bool)
    if street.crossing:
        crossed = (z > street.crossing[0]) & (z < street.crossing[1])
    road = (distance < kerb) | crossed
    lawn = ~road & (distance >= verge) & ((distance < front) | (generator.random() < 0.5))

    base = np.zeros((256, 3), np.float32)
    base[0] = draw_colour(generator, 'road')
    base[1] = draw_colour(generator, 'sidewalk')
    base[2] = draw_colour(generator, 'vegetation')
    kind = np.where(road, np.uint8(0), np.where(lawn, np.uint8(2), np.uint8(1)))
    tone = _ground_tone(x, z, near, kind, generator)
    colour = cv2.multiply(cv2.LUT(cv2.merge([kind] * 3), base[:, None]), cv2.merge([tone] * 3))

    paint = np.float32(generator.uniform(150, 235))
    marked = road & _markings(x, z, distance, kerb, crossed, street, generator)
    colour[marked] = colour[marked] * 0.25 + paint * 0.75
    kerbstone = ~crossed & (np.abs(distance - kerb - 0.08) < 0.1)
    colour[kerbstone] *= np.float32(generator.uniform(0.7, 1.35))

    colour = cv2.multiply(colour, cv2.merge([1 - 0.62 * _shadows(canvas, street, light, first, x, z)] * 3))
    canvas.image[first:] = cv2.convertScaleAbs(np.minimum(colour, 250, out=colour))
    canvas.label[first:] = np.array([ROAD, SIDEWALK, VEGETATION], np.uint8)[kind]
    canvas.depth[first:] = np.minimum(z, BACKDROP)


def _ground_tone(x, z, near, kind, generator) -> np.ndarray:
    grain, blotches, _ = noise_tiles()
    offset = generator.integers(TILE, size=4, dtype=np.int32)

    def sample(tile, scale, across, along):
        columns, rows = (x * scale).astype(np.int32) + across, (z * scale).astype(np.int32) + along
        return tile.ravel()[(rows % TILE) * TILE + columns % TILE]

    rough = np.array([0.07, 0.05, 0.16], np.float32) * np.float32(generator.uniform(0.6, 1.5))
    uneven = np.array([0.08, 0.05, 0.1], np.float32) * np.float32(generator.uniform(0.4, 1.6))
    fine = sample(grain, 24, offset[0], offset[1])
    tone = 1 + fine * near * rough[kind] + sample(blotches, 5, offset[2], offset[3]) * uneven[kind]
    slab = generator.uniform(0.5, 1.2)
    joints = (kind == 1) & ((x % slab < 0.07) | (z % slab < 0.07)) & (z < 14)
    tone[joints] *= np.float32(generator.uniform(0.7, 0.9))
    return tone.astype(np.float32)


def _markings(x, z, distance, kerb, crossed, street: Street, generator) -> np.ndarray:
    marked = np.zeros(x.shape, bool)
    if generator.random() < 0.7:
        dash = generator.uniform(1.5, 4)
        dashed = (z + generator.uniform(0, 8)) % (2.2 * dash) < dash
        marked |= (distance < 0.09) & (dashed | (generator.random() < 0.2)) & ~crossed
    if generator.random() < 0.5:
        marked |= (np.abs(kerb - distance - generator.uniform(0.2, 0.5)) < 0.07) & ~crossed
    if street.zebra:
        marked |= (z > street.zebra[0]) & (z < street.zebra[1]) & (x % 1.0 < 0.5)
    if street.crossing:
        marked |= (np.abs(z - street.crossing[0] + 0.9) < 0.25) & (x * generator.choice([-1, 1]) > 0)
    return marked


def _shadows(canvas: Canvas, street: Street, light: Light, first: int, x, z) -> np.ndarray:
    """Share of the light that shadows keep from the ground, (rows, width) in 0..1."""
    shade = np.zeros(x.shape, np.uint8)
    reach = 0.9
    if light.contrast > 0.15:
        edge = np.full(z.shape, np.inf, np.float32)
        for block in street.blocks:
            if block.side == light.sun_side:
                edge[(z > block.near) & (z < block.far)] = block.x - reach * block.height
        shade[x * light.sun_side > edge] = 160
    for thing in street.things:
        if thing.z > 45:
            continue
        lean = -light.sun_side * light.contrast * reach * min(thing.height, 6)
        half, far = thing.width * 0.5, thing.z + max(thing.length, thing.width * 0.5)
        if thing.kind == 'tree':
            centre, radius = thing.x + lean, thing.width * 0.6
            foot = [(centre + radius * c, 0, thing.z + radius * s) for c, s in _DECAGON]
        else:
            edges = sorted([thing.x - half, thing.x + half, thing.x + lean - half, thing.x + lean + half])
            left, right = (edges[0], edges[2]) if lean < 0 else (edges[1], edges[3])
            foot = [(left, 0, thing.z), (right, 0, thing.z), (right, 0, far), (left, 0, far)]
        corners = canvas.camera.project((u, v, max(w, NEAR)) for u, v, w in foot) - (0, first)
        darkness = 210 if thing.kind == 'vehicle' else 60 + 150 * light.contrast
        cv2.fillConvexPoly(shade, corners.astype(np.int32), darkness)
    return cv2.blur(shade, (3, 3)).astype(np.float32) / 255


def paint_block(canvas: Canvas, block: Block, light: Light, generator: np.random.Generator) -> None:
    """A building: the front along the street, the gable end that faces the camera, and chimneys."""
    x, side, camera = block.side * block.x, block.side, canvas.camera
    depth = generator.uniform(6, 14)
    outer = x + side * depth
    scale = float(np.clip(0.8 * camera.focal / (block.near + 6), 1.5, 6 * camera.focal / 240))
    texture = facade(generator, block.far - block.near, block.height, light.lit_windows, scale)
    gable = texture[:, : max(int(depth * scale), 6)]
    if generator.random() < 0.5:
        gable = np.full((4, 4, 3), gable[:2].mean((0, 1)), np.uint8)

    def upright(ends):
        (x0, z0), (x1, z1) = ends
        top, foot = block.height, 0
        return camera.project([(x0, top, z0), (x1, top, z1), (x1, foot, z1), (x0, foot, z0)])

    if block.near > NEAR:
        ends = [(x, block.near), (outer, block.near)]
        lit = _scaled(gable, light.facing(0))
        canvas.textured(upright(ends), lit, BUILDING, (block.near, block.near))
        if generator.random() < 0.45:
            ridge = block.height + generator.uniform(1, 4)
            roof = [(x, block.height, block.near), (outer, block.height, block.near)]
            roof.insert(1, ((x + outer) / 2, ridge, block.near))
            shade = draw_colour(generator, 'building') * light.facing(0)
            canvas.polygon(camera.project(roof), shade, BUILDING, block.near)
    canvas.textured(
        upright([(x, block.near), (x, block.far)]),
        _scaled(texture, light.facing(-side)),
        BUILDING,
        (block.near, block.far),
    )
    for _ in range(generator.integers(3)):
        z = generator.uniform(block.near, block.far)
        if z > 5:
            wide, tall = generator.uniform(0.5, 1.6), block.height + generator.uniform(0.6, 2)
            left, low = x + side * 0.5, block.height - 0.5
            corners = [(left, tall, z), (left + side * wide, tall, z), (left + side * wide, low, z), (left, low, z)]
            shade = draw_colour(generator, 'building') * light.facing(0)
            canvas.polygon(camera.project(corners), shade, BUILDING, z)


def paint_thing(canvas: Canvas, thing: Thing, light: Light, generator: np.random.Generator) -> None:
    """Anything that is not ground or building, unless it is out of sight."""
    reach = thing.width + 2
    outline = [(thing.x + u, 0, max(w, NEAR)) for u in (-reach, reach) for w in (thing.z, thing.z + thing.length)]
    sides = canvas.camera.project(outline)[:, 0]
    if thing.z < NEAR or sides.max() < 0 or sides.min() > canvas.label.shape[1]:
        return
    painters = dict(tree=_tree, bush=_bush, lamp=_lamp, sign=_sign, vehicle=_vehicle, person=_person)
    painters[thing.kind](canvas, thing, light, generator)


def _tree(canvas: Canvas, tree: Thing, light: Light, generator: np.random.Generator) -> None:
    look = np.random.default_rng(tree.style)
    bark, leaf = draw_colour(look, 'pole') * 0.7, draw_colour(look, 'vegetation')
    shape, bare = look.uniform(0.8, 1.5), look.random() < 0.15
    clear = tree.height * look.uniform(0.22, 0.42)
    thick = max(0.05 * tree.height**0.7, 0.1)
    fork = clear + 0.3 * (tree.height - clear)
    _post(canvas, tree.x, tree.z, thick, fork, bark * light.facing(0), VEGETATION)
    if bare:
        _branches(canvas, tree, fork, bark * light.facing(0), generator)
        return
    middle = (tree.height + clear) / 2
    radius = np.array([tree.width / 2, (tree.height - clear) / 2])
    _foliage(canvas, (tree.x, middle, tree.z), radius, leaf * generator.uniform(0.85, 1.15), shape, light, generator)


def _branches(canvas: Canvas, tree: Thing, fork: float, colour, generator) -> None:
    ends = [(tree.x, fork * 0.8)]
    thick = max(0.05 * canvas.camera.focal / tree.z, 2.0)
    for generation in range(3 if tree.z < 18 else 2):
        grown = []
        for x, y in ends:
            for _ in range(3):
                angle = generator.uniform(-1.1, 1.1)
                reach = tree.height * 0.3 * 0.75**generation
                tip = (x + np.sin(angle) * reach, y + np.cos(angle) * reach)
                start, end = canvas.camera.project([(x, y, tree.z), (*tip, tree.z)])
                across = np.array([end[1] - start[1], start[0] - end[0]])
                across *= max(thick * 0.6**generation, 1.2) / 2 / (np.hypot(*across) + 1e-6)
                corners = [start - across, start + across, end + across, end - across]
                canvas.polygon(corners, colour, VEGETATION, tree.z)
                grown.append(tip)
        ends = grown


def _bush(canvas: Canvas, bush: Thing, light: Light, generator: np.random.Generator) -> None:
    leaf = draw_colour(np.random.default_rng(bush.style), 'vegetation') * generator.uniform(0.85, 1.15)
    centre = (bush.x, bush.height * 0.45, bush.z)
    _foliage(canvas, centre, np.array([bush.width, bush.height]) * 0.55, leaf, 1.2, light, generator)


def _foliage(canvas: Canvas, centre, radius, leaf, shape: float, light: Light, generator) -> None:
    """A ragged ball of leaves, lighter above and towards the sun."""
    scale = canvas.camera.focal / centre[2]
    (u, v), radius = canvas.camera.project([centre])[0], radius * scale
    roi = canvas.roi(np.array([[u, v] - radius * 1.25, [u, v] + radius * 1.25]))
    if roi is None:
        return
    across = (np.arange(roi[1].start, roi[1].stop) - u) / radius[0]
    up = (np.arange(roi[0].start, roi[0].stop)[:, None] - v) / radius[1]
    stretch = max(scale / 14, 0.35)
    clumps = noise_patch(generator, 1, len(up), len(across), stretch)
    edge = 1 - (np.abs(across) ** 2 * (1 + (shape - 1) * -up) + up**2) + 0.28 * clumps
    mask = (edge > 0.1).astype(np.uint8)
    leaves = noise_patch(generator, 0, len(up), len(across), max(stretch * 0.6, 1))
    brightness = 0.92 - 0.22 * up + 0.2 * light.contrast * light.sun_side * across + 0.16 * clumps + 0.13 * leaves
    patch = np.clip(leaf * np.clip(brightness, 0.25, 1.7)[..., None], 0, 250).astype(np.uint8)
    canvas.paste(roi, patch, mask, VEGETATION, centre[2])


def _post(canvas: Canvas, x: float, z: float, wide: float, tall: float, colour, label: int, foot: float = 0) -> None:
    """An upright bar, at least two pixels of the (doubled) canvas wide so that it never vanishes."""
    (left, top), (right, base) = canvas.camera.project([(x - wide / 2, tall, z), (x + wide / 2, foot, z)])
    if right - left < 2:
        middle = (left + right) / 2
        left, right = middle - 1, middle + 1
    canvas.polygon([(left, top), (right, top), (right, base), (left, base)], colour, label, z)


def _lamp(canvas: Canvas, lamp: Thing, light: Light, generator: np.random.Generator) -> None:
    look = np.random.default_rng(lamp.style)
    colour = draw_colour(look, 'pole') * light.facing(0)
    _post(canvas, lamp.x, lamp.z, lamp.width, lamp.height, colour, POLE)
    arm = -np.sign(lamp.x) * look.uniform(0.6, 1.8)
    if look.random() < 0.75:
        corners = [(lamp.x, lamp.height, lamp.z), (lamp.x + arm, lamp.height + 0.25, lamp.z)]
        corners += [(lamp.x + arm, lamp.height + 0.05, lamp.z), (lamp.x, lamp.height - 0.2, lamp.z)]
        canvas.polygon(canvas.camera.project(corners), colour, POLE, lamp.z)
        x = lamp.x + arm
        head = [(x - 0.3, lamp.height + 0.28, lamp.z), (x + 0.3, lamp.height + 0.28, lamp.z)]
        head += [(x + 0.3, lamp.height + 0.05, lamp.z), (x - 0.3, lamp.height + 0.05, lamp.z)]
        glow = np.array([170, 225, 250]) if light.lit_windows > 0.1 else colour * 0.8
        canvas.polygon(canvas.camera.project(head), glow, POLE, lamp.z)


def _sign(canvas: Canvas, sign: Thing, light: Light, generator: np.random.Generator) -> None:
    look = np.random.default_rng(sign.style)
    _post(canvas, sign.x, sign.z, sign.width, sign.height, draw_colour(look, 'pole') * light.facing(0), POLE)
    scale = canvas.camera.focal / sign.z
    centre = canvas.camera.project([(sign.x, sign.height, sign.z)])[0]
    face, rim = draw_colour(look, 'vehicle'), draw_colour(look, 'vehicle')
    if look.random() < 0.5:
        canvas.ellipse(centre, (0.34 * scale,) * 2, rim, POLE, sign.z)
        canvas.ellipse(centre, (0.24 * scale,) * 2, face)
        return
    size = look.uniform(0.18, 0.35, 2) * (1, 1.4) * scale
    outline = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    canvas.polygon(centre + outline * size, rim, POLE, sign.z)
    canvas.polygon(centre + outline * size * 0.75, face)


# side views of vehicles: (along, up) corners of body and cabin as shares of length and height, and of the wheels
_BODIES = (
    (
        ((0.0, 0.16), (1.0, 0.16), (1.0, 0.5), (0.98, 0.62), (0.0, 0.64)),
        ((0.04, 0.6), (0.7, 0.6), (0.52, 1), (0.16, 1)),
    ),
    (((0.0, 0.16), (1.0, 0.16), (1.0, 0.5), (0.97, 0.6), (0.0, 0.62)), ((0.0, 0.6), (0.78, 0.6), (0.62, 1), (0.06, 1))),
    (((0.0, 0.14), (1.0, 0.14), (1.0, 0.42), (0.99, 0.52), (0.0, 0.55)), ((0.0, 0.5), (0.93, 0.5), (0.8, 1), (0.0, 1))),
    (((0.0, 0.12), (1.0, 0.12), (1.0, 0.5), (1.0, 0.55), (0.0, 0.55)), ((0.0, 0.5), (1.0, 0.5), (0.99, 1), (0.0, 1))),
)
_DECAGON = np.array([(np.cos(angle), np.sin(angle)) for angle in np.linspace(0, 2 * np.pi, 10, endpoint=False)])
_TYRE, _GLASS = np.array([34.0, 33, 32]), np.array([92.0, 84, 78])


def _vehicle(canvas: Canvas, car: Thing, light: Light, generator: np.random.Generator) -> None:
    """A body and a narrower cabin: the flank that can be seen, then the end that faces the camera.

    Details smaller than a pixel or two are left out.
    """
    kind, near, far = car.style % 4, max(car.z, NEAR), car.z + car.length
    paint = draw_colour(np.random.default_rng(car.style), 'vehicle')
    glass = _GLASS * generator.uniform(0.5, 1.5)
    if light.lit_windows > 0.1 and kind == 3:
        glass = np.array([130, 190, 215])
    body, cabin = (np.array(part) for part in _BODIES[kind])
    centre_shift = -(canvas.camera.bend * near**2)
    to_left = car.x > centre_shift
    flank_x = car.x - car.width / 2 if to_left else car.x + car.width / 2
    oncoming = car.x < 0
    detailed = canvas.camera.focal * car.height / near > 20
    depth = near + 0.4 * car.length

    def flank(points, inset=0.0):
        start, reach = (far, near - far) if oncoming else (near, far - near)
        x = flank_x + (inset if to_left else -inset)
        return canvas.camera.project((x, up * car.height, start + along * reach) for along, up in points.tolist())

    def end(left, right, low, high, taper=0.0):
        half = car.width / 2
        corners = [(left - taper, high), (right + taper, high)]
        corners += [(right, low), (left, low)]
        return canvas.camera.project([(car.x + u * half, v * car.height, near) for u, v in corners])

    shade = light.facing(-1 if to_left else 1)
    roofline = 0.12 * car.width / 2
    rear_edge = (1 - cabin[:, 0].max()) if oncoming else cabin[:, 0].min()
    canvas.polygon(flank(cabin, roofline * 0.5), paint * shade, VEHICLE, depth)
    canvas.polygon(flank(body), paint * shade * 0.94, VEHICLE, depth)
    middle = cabin.mean(0)
    for start, stop in ((0.0, 0.48), (0.52, 1.0)):
        window = middle + (cabin - middle) * (0.86, 0.66)
        low, high = window[:, 0].min(), window[:, 0].max()
        window[:, 0] = np.clip(window[:, 0], low + start * (high - low), low + stop * (high - low))
        if detailed:
            canvas.polygon(flank(window, roofline * 0.5), glass * shade)
    wheel = 0.33 / car.length
    for along in (0.19, 0.81):
        rim = (along, 0.33 / car.height) + _DECAGON * (wheel, 0.33 / car.height)
        canvas.polygon(flank(rim), _TYRE, VEHICLE, depth)
        if detailed:
            hub = (along, 0.33 / car.height) + _DECAGON * (wheel * 0.5, 0.16 / car.height)
            canvas.polygon(flank(hub), np.full(3, paint.mean() * 0.7))

    face, deck = light.facing(0), body[:, 1].max()
    slope = -0.1 if kind >= 2 or rear_edge < 0.08 else -0.18
    canvas.polygon(end(-0.94, 0.94, deck - 0.05, 1.0, slope), paint * face * 0.9, VEHICLE, depth)
    canvas.polygon(end(-0.8, 0.8, deck + 0.03, 0.93, slope), glass * face)
    canvas.polygon(end(-0.92, -0.6, 0, 0.3), _TYRE, VEHICLE, depth)
    canvas.polygon(end(0.6, 0.92, 0, 0.3), _TYRE, VEHICLE, depth)
    canvas.polygon(end(-1, 1, 0.17, deck), paint * face, VEHICLE, depth)
    if not detailed:
        return
    canvas.polygon(end(-1, 1, 0.15, 0.3), paint * face * generator.choice([0.35, 0.8]))
    canvas.polygon(end(-0.3, 0.3, 0.31, 0.4), np.array([170.0, 205, 210]) * face)
    lamps = np.array([225.0, 235, 240]) if oncoming else np.array([40.0, 36, 175])
    if oncoming and light.lit_windows > 0.1:
        lamps = np.array([250.0, 250, 250])
    for left, right in ((-0.95, -0.62), (0.62, 0.95)):
        canvas.polygon(end(left, right, deck - 0.2, deck - 0.07), lamps)


def _person(canvas: Canvas, person: Thing, light: Light, generator: np.random.Generator) -> None:
    look, face = np.random.default_rng(person.style), light.facing(0)
    coat, trousers = draw_colour(look, 'person') * face, draw_colour(look, 'person') * 0.7 * face
    skin = np.array(look.choice([[132, 160, 206], [78, 108, 156], [44, 62, 92]]), np.float64) * face
    hair = draw_colour(look, 'person') * 0.5 * face
    step, swing = look.uniform(0.03, 0.16), look.uniform(0, 0.1)
    hem = look.choice([0.46, 0.46, 0.3])

    scale = canvas.camera.focal / person.z * person.height
    u, v = canvas.camera.project([(person.x, 0, person.z)])[0].tolist()

    def limb(top, top_half, foot, foot_half, high, low, colour):
        corners = ((top - top_half, high), (top + top_half, high), (foot + foot_half, low), (foot - foot_half, low))
        points = [(u + scale * across, v - scale * up) for across, up in corners]
        canvas.polygon(points, colour, PERSON, person.z)

    for sign in (-1, 1):
        limb(sign * 0.045, 0.05, sign * step, 0.04, 0.52, 0.0, trousers)
        limb(sign * 0.12, 0.035, sign * (0.15 + swing), 0.03, 0.81, 0.45, coat * 0.85)
    limb(0, 0.13, 0, 0.095, 0.83, hem, coat)
    canvas.ellipse((u, v - 0.935 * scale), (0.062 * scale, 0.078 * scale), hair, PERSON, person.z)
    if scale > 20:
        canvas.ellipse((u, v - 0.908 * scale), (0.048 * scale, 0.058 * scale), skin)


def _scaled(texture: np.ndarray, brightness: float) -> np.ndarray:
    return cv2.convertScaleAbs(texture, alpha=brightness)


def paint_street(canvas: Canvas, street: Street, light: Light, generator: np.random.Generator) -> None:
    """The whole scene, far to near."""
    canvas.depth[:] = FAR
    paint_sky(canvas, light, generator)
    paint_backdrop(canvas, light, generator)
    paint_ground(canvas, street, light, generator)
    for block in sorted(street.blocks, key=lambda block: -block.near):
        paint_block(canvas, block, light, generator)
    for thing in street.things:
        paint_thing(canvas, thing, light, generator)
