//! Paints: typical coats of a category, which most instances have, and random ones.

use super::{
    draw::Draw,
    figure::Role,
    texture::{Pattern, Texture},
};

/// Red, green, blue in `[0, 1]`.
pub(super) type Colour = [f32; 3];

/// A typical coat of a category: colors as `0xRRGGBB` by role, and the pattern of the main role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coat {
    pub(super) main: u32,
    pub(super) second: u32,
    pub(super) accent: u32,
    pub(super) detail: u32,
    pub(super) pattern: Pattern,
}

/// The appearance of a surface before shading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) colour: Colour,
    /// The second color of the texture.
    pub(super) other: Colour,
    pub(super) texture: Texture,
}

/// The paints of one object, by [`Role`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Dress([Paint; Role::COUNT]);

impl Dress {
    pub(super) fn paint(&self, role: Role) -> Paint {
        self.0[role as usize]
    }

    /// One of a category's coats, each color slightly varied.
    pub(super) fn typical(coats: &[Coat], draw: &mut Draw) -> Self {
        let coat = draw.pick(coats);
        let [main, second, accent, detail] = [coat.main, coat.second, coat.accent, coat.detail]
            .map(|hex| nudged(colour_of_hex(hex), 0.06, draw));
        let texture = Texture::new(coat.pattern, draw);
        Self::of_colours(main, second, accent, detail, texture, draw)
    }

    /// Random colors and a random pattern.
    pub(super) fn random(draw: &mut Draw) -> Self {
        let [main, second, accent, detail] = [(); 4].map(|()| vivid(draw));
        let texture = Texture::random(draw);
        Self::of_colours(main, second, accent, detail, texture, draw)
    }

    fn of_colours(
        main: Colour,
        second: Colour,
        accent: Colour,
        detail: Colour,
        texture: Texture,
        draw: &mut Draw,
    ) -> Self {
        let grain = Texture::new(Pattern::Grain, draw);
        let plain = |colour| Paint { colour, other: scaled(colour, 0.8), texture: grain };
        let dark = nudged([0.09, 0.09, 0.1], 0.04, draw);
        let light = nudged([0.68, 0.82, 0.9], 0.08, draw);
        let other = match texture.pattern() {
            Pattern::Plain | Pattern::Grain | Pattern::Gradient => scaled(main, 0.72),
            Pattern::Bricks => scaled(main, 0.66),
            _ => second,
        };
        Self([
            Paint { colour: main, other, texture },
            plain(second),
            plain(accent),
            plain(detail),
            plain(dark),
            plain(light),
        ])
    }
}

pub(super) fn colour_of_hex(hex: u32) -> Colour {
    [16, 8, 0].map(|shift| ((hex >> shift) & 0xff) as f32 / 255.0)
}

pub(super) fn scaled(colour: Colour, factor: f32) -> Colour {
    colour.map(|channel| (channel * factor).clamp(0.0, 1.0))
}

pub(super) fn mixed(a: Colour, b: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * share)
}

/// A similar color.
pub(super) fn nudged(colour: Colour, by: f32, draw: &mut Draw) -> Colour {
    let common = draw.range(-by, by);
    colour.map(|channel| (channel + common + draw.range(-by, by) * 0.5).clamp(0.02, 0.98))
}

/// A random conspicuous color.
pub(super) fn vivid(draw: &mut Draw) -> Colour {
    let saturation = draw.range(0.25, 0.9);
    colour_of_hsv(draw.range(0.0, 6.0), saturation, draw.range(0.35, 0.98))
}

/// A random inconspicuous color for backgrounds.
pub(super) fn muted(draw: &mut Draw) -> Colour {
    let saturation = draw.range(0.03, 0.26);
    colour_of_hsv(draw.range(0.0, 6.0), saturation, draw.range(0.32, 0.82))
}

/// `hue` runs from 0 to 6 around the color circle.
pub(super) fn colour_of_hsv(hue: f32, saturation: f32, value: f32) -> Colour {
    [5.0, 3.0, 1.0].map(|n| {
        let k = (n + hue) % 6.0;
        value * (1.0 - saturation * k.min(4.0 - k).clamp(0.0, 1.0))
    })
}
