//! The layout of a scene: categories, sizes, positions and depth order.

use tp_core::ImageHw;

use super::{
    category::Category,
    draw::Draw,
    figure::{Figure, Role},
    geometry::{Affine, Bounds, Vec2, v},
    options::{MAX_LOUD_CLUTTER, SceneOptions},
    palette::Dress,
    shapes::Outline,
    texture::{Pattern, Texture},
};

/// An object with its position in the picture.
pub(super) struct Thing {
    /// `None` for conspicuous clutter.
    pub(super) category: Option<&'static Category>,
    pub(super) figure: Figure,
    pub(super) dress: Dress,
    /// Maps the figure's coordinates to pixels.
    pub(super) pixel_from_figure: Affine,
    /// The bounds of the whole figure, in pixels.
    pub(super) bounds: Bounds,
}

/// All objects of a scene, back to front.
pub(super) fn layout(options: &SceneOptions, draw: &mut Draw) -> Vec<Thing> {
    let chosen = choose(options, draw);
    let mut objects: Vec<Thing> = Vec::with_capacity(chosen.len());
    for category in chosen {
        let dress = if draw.chance(options.typical_share) {
            Dress::typical(category.coats, draw)
        } else {
            Dress::random(draw)
        };
        let thing =
            stand(Some(category), category.build(draw), dress, options.size, &objects, draw);
        objects.push(thing);
    }
    // Nearer objects tend to be lower in a picture.
    let jitter = 0.3 * options.size.height() as f32;
    let mut ordered: Vec<_> = objects
        .into_iter()
        .map(|thing| (thing.bounds.high.y + draw.range(-jitter, jitter), thing))
        .collect();
    ordered.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut things: Vec<_> = ordered.into_iter().map(|(_, thing)| thing).collect();
    for _ in 0..draw.count(0, options.max_loud_clutter.min(MAX_LOUD_CLUTTER)) {
        // Usually behind everything, sometimes in front of an object.
        let at = if draw.chance(0.6) { 0 } else { draw.count(0, things.len()) };
        things.insert(at, loud_clutter(options.size, draw));
    }
    things
}

fn choose(options: &SceneOptions, draw: &mut Draw) -> Vec<&'static Category> {
    let pool = options.pool();
    if pool.is_empty() {
        return Vec::new();
    }
    let total: f64 = options.object_counts.iter().sum();
    let share_of_many = 1.0 - options.object_counts[0] / total;
    let mut rest = f64::from(draw.range(0.0, 1.0)) * total;
    let n = 1 + options.object_counts[..3]
        .iter()
        .take_while(|&&count| {
            rest -= count;
            rest >= 0.0
        })
        .count();

    let mut chosen = vec![draw.pick(&pool)];
    // Slightly below the requested share, because pairs also arise by chance.
    let twice = n > 1 && draw.chance(options.same_category_share * 0.9 / share_of_many);
    while chosen.len() < n {
        let next = if twice && chosen.len() == 1 {
            chosen[0]
        } else if draw.chance(0.25) {
            // A related category, because categories that are easily confused should occur
            // together.
            let relatives: Vec<_> = pool
                .iter()
                .copied()
                .filter(|other| other.info.family == chosen[0].info.family)
                .collect();
            draw.pick(&relatives)
        } else {
            draw.pick(&pool)
        };
        chosen.push(next);
    }
    chosen
}

/// Finds a position at which most of an object is visible.
fn stand(
    category: Option<&'static Category>,
    figure: Figure,
    dress: Dress,
    size: ImageHw,
    others: &[Thing],
    draw: &mut Draw,
) -> Thing {
    let (height, width) = (size.height() as f32, size.width() as f32);
    let frame = Bounds { low: v(-0.5, -0.5), high: v(width - 0.5, height - 0.5) };
    let own = figure.bounds();
    let longer = own.extent().x.max(own.extent().y);
    let mirror = if draw.chance(0.5) { -1.0 } else { 1.0 };
    let tilt = if draw.chance(0.3) { draw.range(-14.0, 14.0) } else { draw.range(-3.0, 3.0) };
    let stretch = draw.range(0.9, 1.11);

    // Some objects are placed near another one, so that one partly occludes the other.
    let neighbour = if !others.is_empty() && draw.chance(0.4) {
        Some(others[draw.index(others.len())].bounds)
    } else {
        None
    };
    let most_crowd = if neighbour.is_some() { 0.65 } else { 0.3 };

    let mut best: Option<(f32, Affine, Bounds)> = None;
    for _ in 0..12 {
        let place = match neighbour {
            None => v(draw.range(-0.02, 1.02), draw.range(-0.02, 1.02)),
            Some(Bounds { low, high }) => {
                let beside = |low: f32, high: f32, side: f32, draw: &mut Draw| {
                    (low + (high - low) * draw.range(-0.2, 1.2)) / side
                };
                let (x, y) =
                    (beside(low.x, high.x, width, draw), beside(low.y, high.y, height, draw));
                v(x.clamp(-0.02, 1.02), y.clamp(-0.02, 1.02))
            }
        };
        // Objects near the border are enlarged, so that the center of their visible part can be
        // anywhere in the outer cells.
        let outward = ((place.x - 0.5).abs().max((place.y - 0.5).abs()) * 2.0).min(1.0);
        let side = draw.range(0.25f32.ln(), (0.8 + 0.35 * outward).ln()).exp();
        let reference = (width * height).sqrt().min(1.25 * width.min(height));
        let scale = side * reference / longer;
        let (x, y) = (
            Vec2::polar(tilt, scale * mirror * stretch),
            Vec2::polar(tilt + 90.0, -scale / stretch),
        );
        let linear = Affine { rows: [v(x.x, y.x), v(x.y, y.y)], offset: v(0.0, 0.0) };
        let center = v(place.x * width - 0.5, place.y * height - 0.5);
        let map = Affine { offset: center - linear.vector(own.center()), ..linear };
        let bounds = figure
            .shapes
            .iter()
            .fold(Bounds::EMPTY, |all, shape| all.and(shape.outline.mapped(&map).bounds()));

        let inside = bounds.shared_area(&frame) / bounds.area();
        let crowd = others
            .iter()
            .map(|other| bounds.shared_area(&other.bounds) / bounds.area().min(other.bounds.area()))
            .fold(0.0, f32::max);
        let fault = (0.64 - inside).max(0.0) * 4.0 + (crowd - most_crowd).max(0.0);
        if best.as_ref().is_none_or(|(least, ..)| fault < *least) {
            best = Some((fault, map, bounds));
        }
        if fault <= 0.0 {
            break;
        }
    }
    let (_, pixel_from_figure, bounds) = best.expect("at least one place was tried");
    Thing { category, figure, dress, pixel_from_figure, bounds }
}

/// Stars, crosses, zigzags and crescents: as conspicuous as objects, but shaped like none of them.
fn loud_clutter(size: ImageHw, draw: &mut Draw) -> Thing {
    let mut figure = Figure::new();
    figure.part("clutter");
    match draw.index(4) {
        0 => {
            let n = draw.count(4, 7);
            let ray = |i: usize| {
                Vec2::polar(
                    180.0 * i as f32 / n as f32,
                    if i.is_multiple_of(2) { 1.0 } else { 0.45 },
                )
            };
            figure.polygon(&(0..2 * n).map(ray).collect::<Vec<_>>(), Role::Main);
        }
        1 => {
            let w = draw.range(0.2, 0.4);
            figure.polygon(
                &[
                    v(-w, -1.0),
                    v(w, -1.0),
                    v(w, -w),
                    v(1.0, -w),
                    v(1.0, w),
                    v(w, w),
                    v(w, 1.0),
                    v(-w, 1.0),
                    v(-w, w),
                    v(-1.0, w),
                    v(-1.0, -w),
                    v(-w, -w),
                ],
                Role::Main,
            );
        }
        2 => {
            let points: Vec<_> = (0..6)
                .map(|i| v(i as f32 * 0.4 - 1.0, if i % 2 == 0 { -0.3 } else { 0.3 }))
                .collect();
            for pair in points.windows(2) {
                figure.limb(pair[0], pair[1], [0.11; 2], Role::Main);
            }
        }
        _ => {
            let arc = |i: usize, r: f32, x: f32| {
                Vec2::polar(70.0 + 220.0 * i as f32 / 10.0, r) + v(x, 0.0)
            };
            let points: Vec<_> = (0..=10)
                .map(|i| arc(i, 1.0, 0.0))
                .chain((0..=10).rev().map(|i| arc(i, 0.72, 0.22)))
                .collect();
            figure.polygon(&points, Role::Main);
        }
    }
    let dress = Dress::random(draw);
    let side = draw.range(0.05, 0.14) * size.height().min(size.width()) as f32;
    let turn = draw.range(0.0, 360.0);
    let (x, y) = (Vec2::polar(turn, side), Vec2::polar(turn + 90.0, -side));
    let center = v(draw.range(0.0, size.width() as f32), draw.range(0.0, size.height() as f32));
    let pixel_from_figure = Affine { rows: [v(x.x, y.x), v(x.y, y.y)], offset: center };
    Thing {
        category: None,
        figure,
        dress,
        pixel_from_figure,
        bounds: Bounds::around(center, v(side, side)),
    }
}

/// The muted shapes of the background, in pixels, each with its brightness relative to its
/// surroundings.
pub(super) fn muted_clutter(size: ImageHw, draw: &mut Draw) -> Vec<(Outline, [f32; 3])> {
    let (height, width) = (size.height() as f32, size.width() as f32);
    let unit = (height * width).sqrt();
    (0..draw.count(5, 22))
        .map(|_| {
            let center = v(draw.range(0.0, width), draw.range(0.0, height));
            let reach = draw.range(0.02, 0.13) * unit;
            let outline = match draw.index(3) {
                0 => {
                    let degrees = draw.range(0.0, 180.0);
                    Outline::Ellipse {
                        center,
                        axes: [
                            Vec2::polar(degrees, reach),
                            Vec2::polar(degrees + 90.0, reach * draw.range(0.3, 0.9)),
                        ],
                        hole: 0.0,
                    }
                }
                1 => {
                    let radius = draw.range(0.05, 0.16) * reach;
                    Outline::Limb {
                        from: center,
                        to: center + Vec2::polar(draw.range(0.0, 360.0), reach * 1.8),
                        radii: [radius, radius * 0.6],
                    }
                }
                _ => {
                    let n = draw.count(3, 6);
                    Outline::Polygon(
                        (0..n)
                            .map(|i| {
                                center
                                    + Vec2::polar(
                                        360.0 * i as f32 / n as f32 + draw.range(-15.0, 15.0),
                                        reach * draw.range(0.5, 1.0),
                                    )
                            })
                            .collect(),
                    )
                }
            };
            let common = draw.range(-0.12, 0.12);
            (outline, [(); 3].map(|()| common + draw.range(-0.04, 0.04)))
        })
        .collect()
}

/// The pattern of a background, for [`super::background`].
pub(super) fn quiet_texture(draw: &mut Draw) -> Texture {
    Texture::new(
        draw.pick(&[
            Pattern::Plain,
            Pattern::Plain,
            Pattern::Checks,
            Pattern::Stripes,
            Pattern::Bricks,
            Pattern::Speckle,
        ]),
        draw,
    )
}
