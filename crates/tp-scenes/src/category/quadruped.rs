//! Four-legged animals from one parametric plan, so that families share part names; species differ
//! in their proportions.

use crate::{
    draw::Draw,
    figure::{Figure, PartSlot, Role},
    geometry::{Vec2, v},
};

/// Proportions, in trunk lengths. The trunk extends from -0.5 (rump) to 0.5 (breast), with its
/// middle at height 0.
pub(super) struct Quadruped {
    /// Depth of the trunk at the breast and at the hips.
    pub(super) trunk: [f32; 2],
    /// How far the belly is tucked up before the hind legs.
    pub(super) tuck: f32,
    /// Height of the withers above the back.
    pub(super) hump: f32,
    /// Leg below the belly, and its thickness above the knee.
    pub(super) leg: f32,
    pub(super) leg_radius: f32,
    pub(super) neck: f32,
    /// Radius of the neck at the trunk and at the head.
    pub(super) neck_radii: [f32; 2],
    /// Direction of the neck with the head lowered and raised, degrees above the horizon.
    pub(super) neck_degrees: [f32; 2],
    /// How far the head bends down from the raised neck's direction, degrees.
    pub(super) nod: f32,
    pub(super) skull: f32,
    pub(super) skull_radius: f32,
    pub(super) muzzle: f32,
    /// Radius of the muzzle at the face and at the nose.
    pub(super) muzzle_radii: [f32; 2],
    pub(super) ear: Ear,
    pub(super) horn: Horn,
    pub(super) tail: Tail,
    pub(super) mane: Mane,
    pub(super) wool: bool,
    pub(super) beard: bool,
    /// Whether the lower legs have the second color.
    pub(super) stockings: bool,
    /// Whether neck and muzzle are parts of their own; otherwise they belong to trunk and head.
    pub(super) neck_part: bool,
    pub(super) muzzle_part: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ear {
    Pointed(f32),
    Floppy(f32),
    Sideways(f32),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Horn {
    None,
    /// Up and forward.
    Curved(f32),
    /// Up and backward.
    Swept(f32),
    /// A spiral beside the ear.
    Coiled(f32),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Tail {
    /// A cord with a tassel.
    Tasselled(f32),
    /// Long hair from the root on.
    Hair(f32),
    /// Thick, with a tip of the second color if set.
    Bushy(f32, bool),
    /// Thin, carried high.
    Curled(f32),
    Stub(f32),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mane {
    None,
    Falling,
    Upright,
}

impl Quadruped {
    pub(super) fn build(&self, figure: &mut Figure, draw: &mut Draw) {
        let trunk = self.trunk.map(|depth| draw.vary(depth, 0.08));
        let leg = draw.vary(self.leg, 0.1);
        let ground = trunk[0] / 2.0 + leg;
        let stride = if draw.chance(0.35) { draw.range(-4.0, 4.0) } else { draw.range(10.0, 26.0) };

        self.tail(figure, draw, trunk);
        let sway = draw.range(-4.0, 4.0);
        figure.tone(0.74);
        self.hind_leg(figure, ground, -stride * 0.7 + sway);
        self.front_leg(figure, ground, stride + sway);
        figure.tone(1.0);

        let body = figure.part("body");
        self.trunk(figure, draw, trunk);
        self.hind_leg(figure, ground, stride * 0.7 + sway);
        self.front_leg(figure, ground, -stride + sway);

        let raised = if draw.chance(0.3) { draw.range(0.0, 0.25) } else { draw.range(0.6, 1.1) };
        self.neck_and_head(figure, draw, trunk, raised, body);
    }

    fn trunk(&self, figure: &mut Figure, draw: &mut Draw, [breast, hips]: [f32; 2]) {
        let top = -breast / 2.0;
        let hump = draw.vary(self.hump, 0.2);
        figure.curve(
            &[
                v(-0.52, -hips * 0.12),
                v(-0.45, top + 0.06),
                v(-0.2, top + 0.01 + hump * 0.05),
                v(0.14, top - hump * 0.75),
                v(0.32, top - hump),
                v(0.5, -breast * 0.22),
                v(0.51, breast * 0.14),
                v(0.36, breast * 0.46),
                v(0.08, breast * 0.5),
                v(-0.2, breast * 0.5 - self.tuck),
                v(-0.4, hips * 0.36),
            ],
            Role::Main,
        );
        if self.wool {
            for i in 0..14 {
                let at = Vec2::polar(i as f32 * 360.0 / 14.0, 1.0);
                figure.disc(
                    v(at.x * 0.45 - 0.01, at.y * breast * 0.42),
                    draw.range(0.11, 0.14),
                    Role::Main,
                );
            }
        }
        if self.hump > 0.1 {
            // The shaggy forequarters of a bison.
            figure.ellipse(
                v(0.28, -hump * 0.35),
                v(0.27, breast * 0.5 + hump * 0.4),
                0.0,
                Role::Accent,
            );
        }
    }

    fn front_leg(&self, figure: &mut Figure, ground: f32, swing: f32) {
        figure.part("front leg");
        let top = v(0.34, self.trunk[0] * 0.2);
        let length = ground - top.y;
        let knee = top + Vec2::polar(-90.0 + swing, length * 0.52);
        let foot = knee + Vec2::polar(-90.0 + swing * 0.55 - swing.abs() * 0.5, length * 0.46);
        let r = self.leg_radius;
        figure.limb(top, knee, [r * 1.5, r * 0.85], Role::Main);
        self.lower_leg(figure, knee, foot, [r * 0.85, r * 0.62]);
    }

    fn hind_leg(&self, figure: &mut Figure, ground: f32, swing: f32) {
        figure.part("hind leg");
        let hip = v(-0.36, 0.0);
        let length = ground - hip.y;
        let r = self.leg_radius;
        let stifle = hip + Vec2::polar(-76.0 + swing, length * 0.42);
        let hock = stifle + Vec2::polar(-116.0 + swing, length * 0.3);
        let foot = hock + Vec2::polar(-86.0 + swing * 0.6, length * 0.3);
        figure.limb(hip, stifle, [self.trunk[1] * 0.36, r * 1.25], Role::Main);
        figure.limb(stifle, hock, [r * 1.25, r * 0.78], Role::Main);
        self.lower_leg(figure, hock, foot, [r * 0.78, r * 0.62]);
    }

    fn lower_leg(&self, figure: &mut Figure, from: Vec2, foot: Vec2, radii: [f32; 2]) {
        let role = if self.stockings { Role::Second } else { Role::Main };
        figure.limb(from, foot, radii, role);
        figure.limb(
            foot,
            foot + v(radii[1] * 0.9, radii[1] * 0.1),
            [radii[1] * 1.05; 2],
            Role::Dark,
        );
    }

    fn tail(&self, figure: &mut Figure, draw: &mut Draw, [breast, hips]: [f32; 2]) {
        figure.part("tail");
        let root = v(-0.48, -breast * 0.5 + hips * 0.22);
        let swing = draw.range(-12.0, 22.0);
        match self.tail {
            Tail::Tasselled(length) => {
                let tip = root + Vec2::polar(-106.0 - swing, length);
                figure.limb(root, tip, [0.035, 0.026], Role::Main);
                figure.limb(
                    tip,
                    tip + Vec2::polar(-95.0 - swing, length * 0.24),
                    [0.04, 0.055],
                    Role::Accent,
                );
            }
            Tail::Hair(length) => {
                let bend = root + Vec2::polar(-130.0 - swing, length * 0.4);
                figure.limb(root, bend, [0.045, 0.075], Role::Accent);
                figure.limb(
                    bend,
                    bend + Vec2::polar(-95.0 - swing * 0.7, length * 0.6),
                    [0.075, 0.04],
                    Role::Accent,
                );
            }
            Tail::Bushy(length, tip) => {
                let lift = if draw.chance(0.3) { draw.range(15.0, 60.0) } else { 0.0 };
                let middle = root + Vec2::polar(-146.0 - lift - swing * 0.6, length * 0.55);
                let end = middle + Vec2::polar(-158.0 - lift * 1.3 - swing * 0.5, length * 0.35);
                figure.limb(root, middle, [0.05, length * 0.17], Role::Main);
                figure.limb(middle, end, [length * 0.17, length * 0.1], Role::Main);
                if tip {
                    figure.limb(
                        middle.toward(end, 0.75),
                        end + (end - middle) * 0.35,
                        [length * 0.12, 0.02],
                        Role::Second,
                    );
                }
            }
            Tail::Curled(length) => {
                let middle = root + Vec2::polar(150.0 - swing, length * 0.5);
                figure.limb(root, middle, [0.05, 0.042], Role::Main);
                figure.limb(
                    middle,
                    middle + Vec2::polar(100.0 - swing * 1.5, length * 0.5),
                    [0.042, 0.028],
                    Role::Main,
                );
            }
            Tail::Stub(length) => figure.limb(
                root,
                root + Vec2::polar(-130.0 + swing * 2.0, length),
                [0.06, 0.04],
                Role::Main,
            ),
        }
    }

    fn neck_and_head(
        &self,
        figure: &mut Figure,
        draw: &mut Draw,
        [breast, _]: [f32; 2],
        raised: f32,
        body: PartSlot,
    ) {
        let [low, high] = self.neck_degrees;
        let neck_degrees = low + (high - low) * raised;
        let head_degrees =
            neck_degrees - self.nod * (0.4 + 0.6 * raised.min(1.0)) + draw.range(-8.0, 8.0);
        let root = v(0.38, -breast * 0.16 - self.hump * 0.3);
        let poll = root + Vec2::polar(neck_degrees, draw.vary(self.neck, 0.08));
        let up = head_degrees + 90.0;
        let face = poll + Vec2::polar(head_degrees, self.skull);
        let crown = poll
            + Vec2::polar(up, self.skull_radius * 0.75)
            + Vec2::polar(head_degrees, self.skull * 0.1);

        if self.neck_part {
            figure.part("neck");
        } else {
            figure.resume(body);
        }
        figure.limb(
            root,
            poll,
            self.neck_radii,
            if self.hump > 0.1 { Role::Accent } else { Role::Main },
        );
        self.mane(figure, root, poll, neck_degrees, crown);

        figure.tone(0.76);
        self.ear(figure, crown + Vec2::polar(head_degrees, 0.045), up - 12.0);
        figure.tone(0.85);
        self.horn(figure, crown + Vec2::polar(head_degrees, 0.06), up - 8.0);
        figure.tone(1.0);

        let head = figure.part("head");
        figure.limb(
            poll,
            face,
            [self.skull_radius, self.skull_radius * 0.88],
            if self.hump > 0.1 { Role::Accent } else { Role::Main },
        );
        let eye = poll
            + Vec2::polar(head_degrees, self.skull * 0.72)
            + Vec2::polar(up, self.skull_radius * 0.36);
        if self.muzzle_part {
            figure.part("muzzle");
        }
        let drop = Vec2::polar(up, -self.skull_radius * 0.2);
        let nose = face + drop + Vec2::polar(head_degrees - 4.0, self.muzzle);
        figure.limb(face + drop, nose, self.muzzle_radii, Role::Second);
        if self.beard {
            figure.limb(
                nose + Vec2::polar(up, -0.03),
                nose + Vec2::polar(-95.0, 0.16) - Vec2::polar(head_degrees, 0.06),
                [0.045, 0.012],
                Role::Accent,
            );
        }
        figure.disc(
            nose + Vec2::polar(head_degrees + 30.0, self.muzzle_radii[1] * 0.6),
            self.muzzle_radii[1] * 0.45,
            Role::Dark,
        );
        figure.resume(head);
        figure.disc(eye, self.skull_radius * 0.17, Role::Dark);

        self.horn(figure, crown, up);
        self.ear(figure, crown - Vec2::polar(head_degrees, 0.03), up + 8.0);
    }

    fn mane(&self, figure: &mut Figure, root: Vec2, poll: Vec2, neck_degrees: f32, crown: Vec2) {
        let back = |share: f32| {
            Vec2::polar(
                neck_degrees + 90.0,
                self.neck_radii[0] + (self.neck_radii[1] - self.neck_radii[0]) * share,
            )
        };
        match self.mane {
            Mane::None => {}
            Mane::Falling => {
                figure.part("mane");
                figure.limb(
                    root.toward(poll, 0.1) + back(0.1) * 0.75,
                    poll + back(1.0) * 0.7,
                    [0.075, 0.06],
                    Role::Accent,
                );
                figure.limb(poll + back(1.0) * 0.8, crown, [0.055, 0.04], Role::Accent);
            }
            Mane::Upright => {
                figure.part("mane");
                figure.limb(
                    root.toward(poll, 0.1) + back(0.1) * 0.98,
                    poll + back(1.0) * 1.05,
                    [0.04, 0.05],
                    Role::Accent,
                );
                figure.limb(poll + back(1.0) * 1.05, crown, [0.045, 0.03], Role::Accent);
            }
        }
    }

    fn ear(&self, figure: &mut Figure, at: Vec2, up: f32) {
        figure.part("ear");
        match self.ear {
            Ear::Pointed(length) => {
                let tip = at + Vec2::polar(up + 14.0, length);
                let half = Vec2::polar(up + 104.0, length * 0.3);
                let bottom = at - Vec2::polar(up, length * 0.2);
                figure.curve(
                    &[
                        bottom + half,
                        tip.toward(bottom + half, 0.35) + half * 0.3,
                        tip,
                        tip.toward(bottom - half, 0.35) - half * 0.3,
                        bottom - half,
                    ],
                    Role::Main,
                );
            }
            Ear::Floppy(length) => {
                let bend = at + Vec2::polar(up + 75.0, length * 0.2);
                figure.limb(
                    bend,
                    bend + Vec2::polar(up + 165.0, length),
                    [length * 0.22, length * 0.33],
                    Role::Accent,
                );
            }
            Ear::Sideways(length) => {
                let middle = at + Vec2::polar(up + 62.0, length * 0.5);
                figure.ellipse(middle, v(length * 0.55, length * 0.27), up + 62.0, Role::Main);
            }
        }
    }

    fn horn(&self, figure: &mut Figure, at: Vec2, up: f32) {
        if self.horn == Horn::None {
            return;
        }
        figure.part("horn");
        match self.horn {
            Horn::None => {}
            Horn::Curved(length) => {
                let bend = at + Vec2::polar(up + 18.0, length * 0.55);
                figure.limb(at, bend, [0.04, 0.032], Role::Detail);
                figure.limb(
                    bend,
                    bend + Vec2::polar(up - 38.0, length * 0.55),
                    [0.032, 0.012],
                    Role::Detail,
                );
            }
            Horn::Swept(length) => {
                let bend = at + Vec2::polar(up + 12.0, length * 0.5);
                figure.limb(at, bend, [0.04, 0.032], Role::Detail);
                figure.limb(
                    bend,
                    bend + Vec2::polar(up + 50.0, length * 0.6),
                    [0.032, 0.012],
                    Role::Detail,
                );
            }
            Horn::Coiled(size) => {
                let center = at + Vec2::polar(up + 95.0, size * 0.25);
                figure.ring(center, v(size * 0.5, size * 0.5), 0.42, Role::Detail);
                figure.limb(
                    center - v(0.0, size * 0.3) + v(size * 0.1, 0.0),
                    center + v(size * 0.55, -size * 0.05),
                    [0.03, 0.014],
                    Role::Detail,
                );
            }
        }
    }
}
