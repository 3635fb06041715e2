//! Birds and fish.

use crate::{
    draw::Draw,
    figure::{Figure, Role},
    geometry::{Vec2, v},
};

/// A bird's thin leg with three toes.
fn leg(figure: &mut Figure, from: Vec2, length: f32, swing: f32) {
    figure.part("leg");
    let knee = from + Vec2::polar(-90.0 - swing, length * 0.5);
    let foot = knee + Vec2::polar(-90.0 + swing * 0.8, length * 0.5);
    figure.limb(from, knee, [0.045, 0.028], Role::Detail);
    figure.limb(knee, foot, [0.028, 0.026], Role::Detail);
    figure.limb(foot - v(0.05, 0.0), foot + v(0.12, 0.01), [0.022, 0.026], Role::Detail);
}

/// A wing on the side of the trunk, or raised above it.
fn wing(figure: &mut Figure, shoulder: Vec2, length: f32, depth: f32, raised: bool) {
    figure.part("wing");
    if raised {
        let tip = shoulder + Vec2::polar(118.0, length * 1.05);
        figure.curve(
            &[
                shoulder + v(0.06, 0.06),
                shoulder + Vec2::polar(95.0, length * 0.6),
                tip,
                shoulder + Vec2::polar(140.0, length * 0.6),
                shoulder + v(-length * 0.4, 0.06),
            ],
            Role::Second,
        );
    } else {
        let tip = shoulder + v(-length, depth * 0.2);
        figure.curve(
            &[
                shoulder + v(0.06, 0.0),
                shoulder + v(-length * 0.25, -depth * 0.5),
                shoulder + v(-length * 0.7, -depth * 0.2),
                tip,
                shoulder + v(-length * 0.55, depth * 0.5),
                shoulder + v(-length * 0.1, depth * 0.55),
            ],
            Role::Second,
        );
    }
}

pub(super) fn duck(figure: &mut Figure, draw: &mut Draw) {
    let neck_degrees = draw.range(55.0, 95.0);
    figure.part("tail");
    figure.polygon(&[v(-0.4, -0.06), v(-0.68, -0.24), v(-0.62, -0.02), v(-0.4, 0.1)], Role::Main);
    figure.tone(0.8);
    leg(figure, v(0.02, 0.2), 0.3, draw.range(-15.0, 25.0));
    figure.tone(1.0);
    leg(figure, v(-0.08, 0.22), 0.3, draw.range(-15.0, 25.0));
    let body = figure.part("body");
    figure.curve(
        &[
            v(-0.55, -0.1),
            v(-0.2, -0.22),
            v(0.15, -0.24),
            v(0.42, -0.12),
            v(0.46, 0.06),
            v(0.28, 0.24),
            v(-0.1, 0.27),
            v(-0.42, 0.14),
        ],
        Role::Main,
    );
    let raised = draw.chance(0.25);
    wing(figure, v(0.16, -0.06), 0.56, 0.26, raised);
    figure.resume(body);
    let root = v(0.34, -0.1);
    let poll = root + Vec2::polar(neck_degrees, draw.range(0.28, 0.4));
    figure.part("neck");
    figure.limb(root, poll, [0.13, 0.08], Role::Accent);
    figure.limb(root.toward(poll, 0.42), root.toward(poll, 0.5), [0.098, 0.096], Role::Light);
    figure.part("beak");
    figure.limb(poll + v(0.1, 0.0), poll + v(0.3, 0.05), [0.06, 0.035], Role::Detail);
    figure.part("head");
    figure.ellipse(poll, v(0.15, 0.125), 0.0, Role::Accent);
    figure.disc(poll + v(0.06, -0.035), 0.024, Role::Dark);
}

pub(super) fn flamingo(figure: &mut Figure, draw: &mut Draw) {
    let low = draw.chance(0.25);
    figure.part("tail");
    figure.polygon(&[v(-0.22, -0.04), v(-0.48, 0.1), v(-0.4, 0.16), v(-0.18, 0.12)], Role::Accent);
    figure.tone(0.8);
    leg(figure, v(0.0, 0.12), 0.78, draw.range(-6.0, 30.0));
    figure.tone(1.0);
    leg(figure, v(-0.06, 0.13), 0.8, draw.range(-8.0, 4.0));
    figure.part("body");
    figure.curve(
        &[
            v(-0.34, 0.04),
            v(-0.18, -0.14),
            v(0.1, -0.17),
            v(0.28, -0.06),
            v(0.24, 0.1),
            v(0.02, 0.18),
            v(-0.2, 0.15),
        ],
        Role::Main,
    );
    wing(figure, v(0.1, -0.04), 0.42, 0.2, draw.chance(0.2));
    figure.part("neck");
    let lean = draw.range(-0.05, 0.08);
    let s = if low {
        [v(0.22, -0.06), v(0.42, -0.08), v(0.52, 0.12), v(0.5, 0.34)]
    } else {
        [v(0.22, -0.06), v(0.38, -0.2), v(0.3 + lean, -0.42), v(0.36 + lean, -0.64)]
    };
    for (i, pair) in s.windows(2).enumerate() {
        let r = 0.075 - 0.012 * i as f32;
        figure.limb(pair[0], pair[1], [r, r - 0.012], Role::Main);
    }
    let poll = s[3];
    figure.part("beak");
    figure.limb(poll + v(0.07, 0.0), poll + v(0.17, 0.05), [0.05, 0.045], Role::Detail);
    figure.limb(poll + v(0.17, 0.05), poll + v(0.17, 0.15), [0.043, 0.018], Role::Dark);
    figure.part("head");
    figure.ellipse(poll + v(0.02, 0.0), v(0.1, 0.075), -10.0, Role::Main);
    figure.disc(poll + v(0.05, -0.02), 0.017, Role::Dark);
}

pub(super) fn parrot(figure: &mut Figure, draw: &mut Draw) {
    let lean = draw.range(-0.08, 0.12);
    figure.part("tail");
    figure.curve(
        &[
            v(-0.1, 0.25),
            v(-0.3 - lean, 0.62),
            v(-0.36 - lean, draw.range(0.85, 1.05)),
            v(-0.2 - lean, 0.8),
            v(0.06, 0.32),
        ],
        Role::Accent,
    );
    for x in [0.0, 0.1] {
        leg(figure, v(x, 0.34), 0.2, 5.0);
    }
    figure.part("body");
    figure.curve(
        &[
            v(-0.18, 0.3),
            v(-0.24, 0.0),
            v(-0.14 + lean, -0.26),
            v(0.08 + lean, -0.32),
            v(0.24 + lean * 0.5, -0.1),
            v(0.22, 0.2),
            v(0.04, 0.42),
        ],
        Role::Main,
    );
    figure.part("wing");
    if draw.chance(0.3) {
        figure.curve(
            &[
                v(-0.06, -0.18),
                v(-0.4, -0.5),
                v(-0.78, -0.52),
                v(-0.6, -0.2),
                v(-0.3, 0.06),
                v(-0.08, 0.08),
            ],
            Role::Second,
        );
    } else {
        figure.curve(
            &[
                v(-0.04, -0.18),
                v(0.06, 0.02),
                v(-0.04, 0.3),
                v(-0.24, 0.58),
                v(-0.24, 0.2),
                v(-0.2, -0.08),
            ],
            Role::Second,
        );
    }
    let head = v(0.06 + lean, -0.42);
    figure.part("beak");
    figure.curve(
        &[
            head + v(0.1, -0.12),
            head + v(0.26, -0.06),
            head + v(0.28, 0.1),
            head + v(0.2, 0.16),
            head + v(0.18, 0.05),
            head + v(0.1, 0.06),
        ],
        Role::Detail,
    );
    figure.part("head");
    figure.disc(head, 0.19, Role::Main);
    if draw.chance(0.4) {
        figure.polygon(
            &[head + v(-0.02, -0.16), head + v(-0.2, -0.36), head + v(-0.17, -0.06)],
            Role::Accent,
        );
    }
    figure.ellipse(head + v(0.09, -0.02), v(0.075, 0.06), 0.0, Role::Light);
    figure.disc(head + v(0.09, -0.03), 0.028, Role::Dark);
}

pub(super) fn goldfish(figure: &mut Figure, draw: &mut Draw) {
    let depth = draw.range(0.22, 0.3);
    let bend = draw.range(-0.1, 0.1);
    figure.part("tail");
    figure.curve(
        &[
            v(-0.4, 0.0),
            v(-0.66, -0.26 + bend),
            v(-0.9, -0.32 + bend),
            v(-0.76, bend * 1.5),
            v(-0.88, 0.32 + bend),
            v(-0.64, 0.24 + bend),
        ],
        Role::Accent,
    );
    figure.part("dorsal fin");
    figure.curve(
        &[
            v(0.2, -depth * 0.8),
            v(-0.02, -depth - 0.2),
            v(-0.3, -depth - 0.12),
            v(-0.26, -depth * 0.5),
        ],
        Role::Accent,
    );
    figure.part("belly fin");
    figure.polygon(
        &[v(0.02, depth * 0.8), v(-0.2, depth + 0.2), v(-0.26, depth * 0.7)],
        Role::Accent,
    );
    body_and_head(figure, depth, 0.14, 0.5);
    figure.part("side fin");
    figure.ellipse(v(0.08, depth * 0.3), v(0.15, 0.07), draw.range(15.0, 50.0), Role::Second);
}

pub(super) fn shark(figure: &mut Figure, draw: &mut Draw) {
    let depth = draw.range(0.14, 0.18);
    let bend = draw.range(-0.06, 0.06);
    figure.part("tail");
    figure.polygon(
        &[
            v(-0.5, -0.05),
            v(-0.92, -0.38 + bend),
            v(-0.78, -0.02 + bend),
            v(-0.88, 0.22 + bend),
            v(-0.56, 0.06),
        ],
        Role::Main,
    );
    figure.part("dorsal fin");
    figure.curve(
        &[
            v(0.1, -depth * 0.8),
            v(-0.12, -depth - 0.22),
            v(-0.16, -depth - 0.1),
            v(-0.14, -depth * 0.7),
        ],
        Role::Main,
    );
    figure.part("belly fin");
    figure.polygon(
        &[v(-0.28, depth * 0.5), v(-0.44, depth + 0.1), v(-0.42, depth * 0.4)],
        Role::Main,
    );
    body_and_head(figure, depth, 0.2, 0.7);
    figure.part("side fin");
    figure.tone(0.85);
    figure.polygon(
        &[v(0.24, depth * 0.35), v(-0.04, depth + 0.22), v(0.06, depth * 0.4)],
        Role::Main,
    );
    figure.tone(1.0);
}

/// The body of a fish; the head is its front, bounded by a curved gill.
fn body_and_head(figure: &mut Figure, depth: f32, gill: f32, nose: f32) {
    let rear = -0.55;
    // Half the depth at a position between tail root and nose.
    let half = |x: f32| {
        let t = (x - rear) / (nose - rear);
        depth * (4.6 * t.powf(0.85) * (1.0 - t).powf(0.7) / 2.5).min(1.0) + 0.06 * (1.0 - t)
    };
    let outline = |from: f32| -> Vec<Vec2> {
        let at = |i: usize| from + (nose - from) * i as f32 / 8.0;
        (0..9)
            .map(|i| v(at(i), -half(at(i))))
            .chain((0..8).rev().map(|i| v(at(i), half(at(i)))))
            .collect()
    };
    figure.part("body");
    figure.polygon(&outline(rear), Role::Main);
    let lower: Vec<Vec2> = outline(rear)
        .into_iter()
        .skip(9)
        .chain([v(rear, 0.3 * depth), v(nose * 0.6, depth * 0.35)])
        .collect();
    figure.polygon(&lower, Role::Second);
    figure.part("head");
    figure.tone(0.9);
    let mut head = outline(gill);
    head.push(v(gill - 0.06, half(gill) * 0.5));
    head.push(v(gill - 0.08, 0.0));
    head.push(v(gill - 0.06, -half(gill) * 0.5));
    figure.polygon(&head, Role::Main);
    figure.tone(1.0);
    let eye = v(gill + (nose - gill) * 0.5, -half(gill) * 0.22);
    figure.disc(eye, depth * 0.16, Role::Light);
    figure.disc(eye, depth * 0.09, Role::Dark);
    figure.limb(v(nose - 0.14, depth * 0.22), v(nose - 0.04, depth * 0.14), [0.012; 2], Role::Dark);
}
