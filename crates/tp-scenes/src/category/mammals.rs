//! The species of the quadruped plan: Bovidae, Equidae, Canidae.

use super::quadruped::{Ear, Horn, Mane, Quadruped, Tail};

/// What most species start from: a cow without horns.
const PLAN: Quadruped = Quadruped {
    trunk: [0.52, 0.48],
    tuck: 0.02,
    hump: 0.02,
    leg: 0.36,
    leg_radius: 0.068,
    neck: 0.26,
    neck_radii: [0.19, 0.12],
    neck_degrees: [-38.0, 32.0],
    nod: 62.0,
    skull: 0.13,
    skull_radius: 0.115,
    muzzle: 0.13,
    muzzle_radii: [0.092, 0.085],
    ear: Ear::Sideways(0.17),
    horn: Horn::None,
    tail: Tail::Tasselled(0.48),
    mane: Mane::None,
    wool: false,
    beard: false,
    stockings: false,
    neck_part: false,
    muzzle_part: true,
};

pub(super) const COW: Quadruped = Quadruped { horn: Horn::Curved(0.19), ..PLAN };

pub(super) const SHEEP: Quadruped = Quadruped {
    trunk: [0.5, 0.5],
    leg: 0.22,
    leg_radius: 0.05,
    neck: 0.22,
    neck_radii: [0.17, 0.12],
    skull: 0.1,
    skull_radius: 0.1,
    muzzle: 0.11,
    muzzle_radii: [0.075, 0.05],
    ear: Ear::Sideways(0.14),
    horn: Horn::Coiled(0.19),
    tail: Tail::Stub(0.12),
    wool: true,
    stockings: true,
    ..PLAN
};

pub(super) const GOAT: Quadruped = Quadruped {
    trunk: [0.42, 0.38],
    tuck: 0.03,
    leg: 0.36,
    leg_radius: 0.05,
    neck: 0.32,
    neck_radii: [0.14, 0.085],
    neck_degrees: [-32.0, 54.0],
    nod: 78.0,
    skull: 0.12,
    skull_radius: 0.088,
    muzzle: 0.13,
    muzzle_radii: [0.068, 0.052],
    ear: Ear::Sideways(0.15),
    horn: Horn::Swept(0.32),
    tail: Tail::Curled(0.14),
    beard: true,
    stockings: true,
    ..PLAN
};

pub(super) const BISON: Quadruped = Quadruped {
    trunk: [0.56, 0.4],
    tuck: 0.07,
    hump: 0.22,
    leg: 0.26,
    leg_radius: 0.06,
    neck: 0.2,
    neck_radii: [0.26, 0.17],
    neck_degrees: [-42.0, -4.0],
    nod: 42.0,
    skull: 0.12,
    skull_radius: 0.15,
    muzzle: 0.1,
    muzzle_radii: [0.105, 0.075],
    ear: Ear::Sideways(0.1),
    horn: Horn::Curved(0.15),
    tail: Tail::Tasselled(0.34),
    beard: true,
    ..PLAN
};

pub(super) const HORSE: Quadruped = Quadruped {
    trunk: [0.42, 0.42],
    tuck: 0.04,
    hump: 0.03,
    leg: 0.5,
    leg_radius: 0.056,
    neck: 0.46,
    neck_radii: [0.165, 0.09],
    neck_degrees: [-36.0, 52.0],
    nod: 96.0,
    skull: 0.15,
    skull_radius: 0.095,
    muzzle: 0.2,
    muzzle_radii: [0.076, 0.06],
    ear: Ear::Pointed(0.12),
    tail: Tail::Hair(0.6),
    mane: Mane::Falling,
    neck_part: true,
    muzzle_part: false,
    ..PLAN
};

pub(super) const ZEBRA: Quadruped = Quadruped {
    trunk: [0.46, 0.45],
    leg: 0.4,
    neck: 0.38,
    neck_degrees: [-36.0, 46.0],
    muzzle: 0.16,
    tail: Tail::Tasselled(0.42),
    mane: Mane::Upright,
    ..HORSE
};

pub(super) const DONKEY: Quadruped = Quadruped {
    trunk: [0.44, 0.42],
    leg: 0.36,
    neck: 0.34,
    neck_radii: [0.15, 0.095],
    neck_degrees: [-34.0, 42.0],
    skull_radius: 0.105,
    muzzle: 0.17,
    muzzle_radii: [0.085, 0.072],
    ear: Ear::Pointed(0.27),
    tail: Tail::Tasselled(0.4),
    mane: Mane::Upright,
    ..HORSE
};

pub(super) const DOG: Quadruped = Quadruped {
    trunk: [0.38, 0.3],
    tuck: 0.05,
    leg: 0.32,
    leg_radius: 0.052,
    neck: 0.26,
    neck_radii: [0.13, 0.1],
    neck_degrees: [-24.0, 52.0],
    nod: 60.0,
    skull: 0.1,
    skull_radius: 0.122,
    muzzle: 0.13,
    muzzle_radii: [0.078, 0.06],
    ear: Ear::Floppy(0.2),
    tail: Tail::Curled(0.42),
    neck_part: true,
    ..PLAN
};

pub(super) const WOLF: Quadruped = Quadruped {
    trunk: [0.4, 0.32],
    tuck: 0.06,
    leg: 0.38,
    neck: 0.25,
    neck_radii: [0.165, 0.115],
    neck_degrees: [-22.0, 30.0],
    nod: 36.0,
    skull_radius: 0.11,
    muzzle: 0.16,
    muzzle_radii: [0.07, 0.042],
    ear: Ear::Pointed(0.15),
    tail: Tail::Bushy(0.46, false),
    stockings: true,
    ..DOG
};

pub(super) const FOX: Quadruped = Quadruped {
    trunk: [0.32, 0.28],
    tuck: 0.03,
    leg: 0.24,
    leg_radius: 0.042,
    neck: 0.2,
    neck_radii: [0.125, 0.095],
    neck_degrees: [-20.0, 34.0],
    nod: 40.0,
    skull: 0.08,
    skull_radius: 0.105,
    muzzle: 0.15,
    muzzle_radii: [0.062, 0.024],
    ear: Ear::Pointed(0.2),
    tail: Tail::Bushy(0.68, true),
    stockings: true,
    ..DOG
};
