//! Rendering: objects to pixels, with the part that each pixel shows.

use tp_core::{ImageHw, RgbImage};

use super::{
    background::Background,
    draw::{Draw, hash_cell},
    geometry::{Affine, Vec2, v},
    layout::{Thing, muted_clutter},
    palette::Paint,
};

/// The picture with its map of parts.
pub(super) struct Rendered {
    pub(super) image: RgbImage,
    /// An index into `surfaces` for every pixel, row-major.
    pub(super) surface_of_pixel: Vec<u16>,
    pub(super) surfaces: Vec<Surface>,
    /// For every object, the number of pixels that it would cover without occlusion.
    pub(super) covered: Vec<usize>,
}

/// What a pixel shows.
pub(super) struct Surface {
    /// The indices of the object and of its part; `None` = background.
    pub(super) part: Option<(usize, usize)>,
    look: Look,
}

enum Look {
    /// The background, brightened by this much.
    Background([f32; 3]),
    /// A paint with its brightness and the map from pixels to texture coordinates.
    Paint { paint: Paint, tone: f32, texture_from_pixel: Affine },
}

/// Lighting and camera effects.
struct Light {
    /// The direction towards the light; its length is the strength.
    direction: Vec2,
    ambient: [f32; 3],
    vignette: f32,
    noise: f32,
    blur: f32,
    seed: u32,
}

impl Light {
    fn new(draw: &mut Draw) -> Self {
        let exposure = draw.range(0.8, 1.12);
        Self {
            direction: Vec2::polar(draw.range(20.0, 160.0), draw.range(0.08, 0.34)),
            ambient: [(); 3].map(|()| exposure * draw.range(0.95, 1.05)),
            vignette: if draw.chance(0.5) { draw.range(0.05, 0.4) } else { 0.0 },
            noise: if draw.chance(0.7) { draw.range(0.01, 0.09) } else { 0.0 },
            blur: draw.range(0.15, 1.0),
            seed: draw.word(),
        }
    }
}

/// A soft dark ellipse on the ground.
struct Shadow {
    center: Vec2,
    inverse_half: Vec2,
    strength: f32,
}

pub(super) fn render(size: ImageHw, things: &[Thing], draw: &mut Draw) -> Rendered {
    let [height, width] = [size.height() as usize, size.width() as usize];
    let background = Background::new(size, draw);
    let light = Light::new(draw);
    let mut surfaces = vec![Surface { part: None, look: Look::Background([0.0; 3]) }];
    let mut surface_of_pixel = vec![0u16; height * width];
    let mut shade = vec![0i8; height * width];

    for (outline, delta) in muted_clutter(size, draw) {
        let id = surfaces.len() as u16;
        surfaces.push(Surface { part: None, look: Look::Background(delta) });
        outline.fill([height, width], |row, column, _| surface_of_pixel[row * width + column] = id);
    }

    let mut covered = Vec::with_capacity(things.len());
    for (thing_index, thing) in things.iter().enumerate() {
        let first = surfaces.len() as u16;
        let mut n = 0;
        let texture_from_pixel = texture_from_pixel(thing);
        for shape in &thing.figure.shapes {
            let id = surfaces.len() as u16;
            let look = Look::Paint {
                paint: thing.dress.paint(shape.role),
                tone: shape.tone,
                texture_from_pixel,
            };
            surfaces.push(Surface { part: Some((thing_index, shape.part)), look });
            shape.outline.mapped(&thing.pixel_from_figure).fill(
                [height, width],
                |row, column, normal| {
                    let pixel = row * width + column;
                    n += usize::from(surface_of_pixel[pixel] < first);
                    surface_of_pixel[pixel] = id;
                    // The center of a round body faces the camera, its rim the side.
                    shade[pixel] = (normal.dot(light.direction) * 120.0) as i8;
                },
            );
        }
        covered.push(n);
    }

    let shadows = shadows(things, draw);
    let mut bytes = vec![0u8; height * width * 3];
    let (mut scratch, mut noise, mut colours) =
        (Vec::new(), vec![0.0; width], vec![[0.0; 3]; width]);
    for row in 0..height {
        background.row(row, &mut scratch, &mut noise, &mut colours);
        darken(&shadows, row, &mut colours);
        let ids = &surface_of_pixel[row * width..][..width];
        let shades = &shade[row * width..][..width];
        paint_row(row, ids, shades, &surfaces, &mut colours);
        expose_row(&light, row, height, &colours, &mut bytes[row * width * 3..][..width * 3]);
    }
    soften(&mut bytes, [height, width], light.blur);
    let image = RgbImage::from_bytes(size, bytes).expect("three bytes per pixel");
    Rendered { image, surface_of_pixel, surfaces, covered }
}

/// Textures are attached to the object: the origin is its center, the unit its longer side.
fn texture_from_pixel(thing: &Thing) -> Affine {
    let own = thing.figure.bounds();
    let scale = 1.0 / own.extent().x.max(own.extent().y);
    let back = thing.pixel_from_figure.inverse();
    Affine { rows: back.rows.map(|row| row * scale), offset: (back.offset - own.center()) * scale }
}

fn shadows(things: &[Thing], draw: &mut Draw) -> Vec<Shadow> {
    let strength = draw.range(0.1, 0.5);
    let lean = draw.range(-0.25, 0.25);
    let named = things.iter().filter(|thing| thing.category.is_some() && draw.chance(0.8));
    named
        .map(|Thing { bounds, .. }| {
            let extent = bounds.extent();
            let half = v(extent.x * 0.62, (extent.x * 0.13).max(1.5));
            Shadow {
                center: v(bounds.center().x + lean * extent.x, bounds.high.y - half.y * 0.2),
                inverse_half: v(1.0 / half.x, 1.0 / half.y),
                strength,
            }
        })
        .collect()
}

fn darken(shadows: &[Shadow], row: usize, colours: &mut [[f32; 3]]) {
    for shadow in shadows {
        let y = (row as f32 - shadow.center.y) * shadow.inverse_half.y;
        if y.abs() < 1.0 {
            for (column, colour) in colours.iter_mut().enumerate() {
                let x = (column as f32 - shadow.center.x) * shadow.inverse_half.x;
                let factor = 1.0 - shadow.strength * (1.0 - x * x - y * y).max(0.0);
                *colour = colour.map(|channel| channel * factor);
            }
        }
    }
}

fn paint_row(
    row: usize,
    ids: &[u16],
    shades: &[i8],
    surfaces: &[Surface],
    colours: &mut [[f32; 3]],
) {
    for (column, (colour, (&id, &shade))) in
        colours.iter_mut().zip(ids.iter().zip(shades)).enumerate()
    {
        if id == 0 {
            continue;
        }
        match &surfaces[id as usize].look {
            Look::Background(delta) => *colour = [0, 1, 2].map(|i| colour[i] + delta[i]),
            Look::Paint { paint, tone, texture_from_pixel } => {
                let share =
                    paint.texture.share(texture_from_pixel.place(v(column as f32, row as f32)));
                let brightness = tone * (1.0 + f32::from(shade) / 100.0);
                *colour = [0, 1, 2].map(|i| {
                    (paint.colour[i] + (paint.other[i] - paint.colour[i]) * share) * brightness
                });
            }
        }
    }
}

fn expose_row(light: &Light, row: usize, height: usize, colours: &[[f32; 3]], bytes: &mut [u8]) {
    let inverse_half = [2.0 / height as f32, 2.0 / colours.len() as f32];
    let y = row as f32 * inverse_half[0] - 1.0;
    for (column, (colour, bytes)) in colours.iter().zip(bytes.chunks_exact_mut(3)).enumerate() {
        let x = column as f32 * inverse_half[1] - 1.0;
        let factor = 255.0 * (1.0 - light.vignette * 0.5 * (x * x + y * y));
        let bits = hash_cell(column as i32, row as i32, light.seed);
        for (i, byte) in bytes.iter_mut().enumerate() {
            let noise = (((bits >> (8 * i)) & 0xff) as f32 - 127.5) * light.noise;
            *byte = (colour[i] * light.ambient[i] * factor + noise + 0.5) as u8;
        }
    }
}

/// A 3×3 blur (1-2-1 in both directions) with a strength from 0 to 1, which also smooths jagged
/// edges.
fn soften(bytes: &mut [u8], [height, width]: [usize; 2], strength: f32) {
    let stride = width * 3;
    // The weight of each neighbor out of 64; 16 is the full 1-2-1 filter.
    let side = (strength * 16.0) as u16;
    let middle = 64 - 2 * side;
    let blend = |a: u8, b: u8, c: u8| {
        (((u16::from(a) + u16::from(c)) * side + u16::from(b) * middle + 32) / 64) as u8
    };
    let mut previous = bytes[..stride].to_vec();
    let mut current = previous.clone();
    for row in 0..height {
        current.copy_from_slice(&bytes[row * stride..][..stride]);
        let (here, after) = bytes[row * stride..].split_at_mut(stride);
        let below = if row + 1 < height { &after[..stride] } else { &current[..] };
        for (((byte, a), b), c) in here.iter_mut().zip(&previous).zip(&current).zip(below) {
            *byte = blend(*a, *b, *c);
        }
        std::mem::swap(&mut previous, &mut current);
        if width > 1 {
            current.copy_from_slice(here);
            for i in 3..stride - 3 {
                here[i] = blend(current[i - 3], current[i], current[i + 3]);
            }
        }
    }
}
