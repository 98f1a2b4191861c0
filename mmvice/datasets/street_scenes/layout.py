"""The layout of a random street, in metres."""

from dataclasses import dataclass, field

import numpy as np

NEAR, BACKDROP = 1.6, 130.0


@dataclass
class Thing:
    """An object on the street: its kind, the position of its foot, its size and the seed of its appearance."""

    kind: str
    x: float
    z: float
    width: float
    height: float
    length: float = 0.0
    style: int = 0


@dataclass
class Block:
    """A building: ``side`` is -1 (left) or 1, ``x`` the distance of its front from the middle of the road."""

    side: int
    x: float
    near: float
    far: float
    height: float


@dataclass
class Street:
    """Widths in metres from the middle of the road outwards, on the (left, right) side, and all objects."""

    kerb: tuple[float, float]
    verge: tuple[float, float]
    front: tuple[float, float]
    crossing: tuple[float, float] | None
    zebra: tuple[float, float] | None
    blocks: list[Block] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)


def draw_street(generator: np.random.Generator) -> Street:
    """A street with its houses, trees, vehicles, people and poles."""
    half = generator.uniform(2.8, 6.5)
    kerb = (half * generator.uniform(0.8, 1.25), half * generator.uniform(0.8, 1.25))
    pavement = generator.uniform(1.4, 5.0, 2)
    green = np.where(generator.random(2) < 0.4, generator.uniform(0.8, 7, 2), 0)
    verge = (kerb[0] + pavement[0], kerb[1] + pavement[1])
    front = (verge[0] + green[0], verge[1] + green[1])
    near = generator.uniform(9, 45)
    crossing = (near, near + generator.uniform(6, 12)) if generator.random() < 0.4 else None
    zebra = None
    if generator.random() < 0.3:
        start = generator.uniform(4, 22)
        zebra = (start, start + generator.uniform(2.4, 4))
    street = Street(kerb, verge, front, crossing, zebra)
    urban = generator.random()
    for side in (-1, 1):
        _line_with_buildings(generator, street, side, urban)
        _line_with_trees(generator, street, side, urban)
        _line_with_poles(generator, street, side)
        _park(generator, street, side)
    _drive(generator, street)
    _walk(generator, street)
    street.things.sort(key=lambda thing: -thing.z)
    return street


def _of(pair: tuple[float, float], side: int) -> float:
    return pair[(side + 1) // 2]


def _line_with_buildings(generator, street: Street, side: int, urban: float) -> None:
    typical, z = generator.uniform(5, 8 + 14 * urban), generator.uniform(-4, 5)
    density = generator.uniform(0.25, 1) * (0.5 + 0.5 * urban)
    while z < BACKDROP * 0.75:
        length = generator.uniform(5, 20) * (1 + z / 60)
        far = z + length
        crossed = street.crossing and far > street.crossing[0] and z < street.crossing[1]
        if generator.random() < density + 0.25 and far > NEAR + 1 and not crossed:
            height = np.clip(typical * generator.uniform(0.65, 1.5), 3, 32)
            setback = generator.uniform(0, 3) if generator.random() < 0.3 else 0
            street.blocks.append(Block(side, _of(street.front, side) + setback, max(z, NEAR), far, height))
        z = far + (generator.uniform(0.5, 9) if generator.random() < 0.35 else 0)


def _line_with_trees(generator, street: Street, side: int, urban: float) -> None:
    has_green = _of(street.front, side) > _of(street.verge, side)
    if generator.random() > (0.85 if has_green else 0.5):
        return
    low, high = _of(street.verge, side), _of(street.front, side)
    between = (low - 0.6, max(high - 0.4, low)) if has_green else (_of(street.kerb, side) + 0.3, low - 0.4)
    z, spacing, tall = generator.uniform(4, 14), generator.uniform(5, 16), generator.uniform(3.5, 10)
    style = int(generator.integers(1 << 30))
    while z < 75:
        height = tall * generator.uniform(0.75, 1.25)
        x = side * generator.uniform(*between)
        street.things.append(Thing('tree', x, z, height * generator.uniform(0.4, 0.75), height, style=style))
        z += spacing * generator.uniform(0.6, 1.5) * (1 + z / 50)
    if has_green and generator.random() < 0.6:
        z, x = generator.uniform(4, 12), side * (_of(street.verge, side) + 0.6)
        while z < 40:
            height = generator.uniform(0.7, 1.6)
            street.things.append(Thing('bush', x, z, generator.uniform(1.5, 2.6) * (1 + z / 30), height, style=style))
            z *= 1.22


def _line_with_poles(generator, street: Street, side: int) -> None:
    if generator.random() < 0.75:
        z, spacing, height = generator.uniform(4, 18), generator.uniform(9, 26), generator.uniform(4, 9)
        style = int(generator.integers(1 << 30))
        while z < 80:
            x = side * (_of(street.kerb, side) + 0.45)
            street.things.append(Thing('lamp', x, z, generator.uniform(0.14, 0.28), height, style=style))
            z += spacing
    for _ in range(generator.integers(3)):
        x = side * (_of(street.kerb, side) + generator.uniform(0.3, 0.9))
        size = (generator.uniform(0.1, 0.18), generator.uniform(2.1, 3.4))
        street.things.append(Thing('sign', x, generator.uniform(5, 30), *size, style=int(generator.integers(1 << 30))))


def _vehicle(generator, x: float, z: float) -> Thing:
    sizes = [(1.75, 1.48, 4.2), (1.85, 1.75, 4.6), (1.95, 2.3, 5.2), (2.45, 3.1, 9.0)]
    style = int(generator.choice(4, p=[0.5, 0.25, 0.16, 0.09]))
    width, height, length = np.array(sizes[style]) * generator.uniform(0.92, 1.08)
    return Thing('vehicle', x, z, width, height, length, style=style + 4 * int(generator.integers(1 << 28)))


def _park(generator, street: Street, side: int) -> None:
    if generator.random() > 0.5:
        return
    z = generator.uniform(3.2, 20)
    while z < 60:
        if generator.random() < 0.7 and not _on_crossing(street, z):
            street.things.append(_vehicle(generator, side * (_of(street.kerb, side) - 1.1), z))
        z += generator.uniform(6, 11)


def _drive(generator, street: Street) -> None:
    for side in (-1, 1):
        z = generator.uniform(6, 30)
        for _ in range(generator.integers(4)):
            lane = min(1.6, 0.35 * _of(street.kerb, side))
            thing = _vehicle(generator, side * lane * generator.uniform(0.8, 1.2), z)
            taken = any(abs(t.x - thing.x) < 2.1 and abs(t.z - z) < 7 for t in street.things if t.kind == 'vehicle')
            if not taken:
                street.things.append(thing)
            z += generator.uniform(8, 25)


def _walk(generator, street: Street) -> None:
    for _ in range(generator.poisson(5)):
        side = 1 if generator.random() < 0.5 else -1
        if generator.random() < 0.8:
            x = side * generator.uniform(_of(street.kerb, side) + 0.4, _of(street.verge, side))
        else:
            x = side * generator.uniform(0, _of(street.kerb, side))
        z, height = generator.uniform(4.2, 26), generator.uniform(1.5, 1.95)
        for _ in range(generator.integers(1, 3)):
            look = int(generator.integers(1 << 30))
            street.things.append(Thing('person', x, z, height * 0.28, height, style=look))
            x, z = x + generator.uniform(0.5, 0.9), z + generator.uniform(-0.3, 0.3)


def _on_crossing(street: Street, z: float) -> bool:
    return street.crossing is not None and street.crossing[0] - 4 < z < street.crossing[1]
