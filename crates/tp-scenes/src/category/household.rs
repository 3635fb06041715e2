//! Furniture, tableware and plants in pots.

use crate::{
    draw::Draw,
    figure::{Figure, Role},
    geometry::{Vec2, v},
};

pub(super) fn chair(figure: &mut Figure, draw: &mut Draw) {
    let depth = draw.range(0.14, 0.26);
    let back = draw.range(0.55, 0.8);
    let leg = draw.range(0.42, 0.58);
    let r = draw.range(0.03, 0.045);
    // Front edge of the seat at height 0, rear edge above and to the right of it.
    let shift = v(draw.range(0.04, 0.16), -depth);
    let (left, right) = (v(-0.36, 0.0), v(0.36, 0.0));
    figure.tone(0.72);
    for corner in [left + shift, right + shift] {
        figure.part("leg");
        figure.limb(corner, corner + v(0.0, leg), [r, r * 0.8], Role::Second);
    }
    figure.tone(0.9);
    figure.part("back");
    let lean = v(draw.range(0.0, 0.1), -back);
    let (a, b) = (left + shift, right + shift);
    if draw.chance(0.5) {
        figure.polygon(&[a, b, b + lean, a + lean], Role::Main);
    } else {
        for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
            figure.limb(a.toward(b, share), a.toward(b, share) + lean, [r, r], Role::Main);
        }
        figure.limb(a + lean, b + lean, [r * 1.8; 2], Role::Main);
    }
    figure.tone(1.0);
    figure.part("seat");
    figure.polygon(&[left, right, right + shift, left + shift], Role::Accent);
    figure.tone(0.8);
    figure.rect(left, right + v(0.0, 0.07), Role::Accent);
    figure.tone(1.0);
    if draw.chance(0.7) {
        for side in [left, right] {
            figure.part("armrest");
            let (front, rear) = (side + v(0.0, -0.26), side + shift + lean * 0.38);
            figure.limb(side, front, [r; 2], Role::Second);
            figure.limb(front, rear, [r * 1.25; 2], Role::Second);
        }
    }
    for corner in [left, right] {
        figure.part("leg");
        figure.limb(corner + v(0.0, 0.06), corner + v(0.0, leg), [r * 1.1, r * 0.9], Role::Second);
    }
}

pub(super) fn table(figure: &mut Figure, draw: &mut Draw) {
    let depth = draw.range(0.16, 0.3);
    let leg = draw.range(0.5, 0.75);
    let r = draw.range(0.035, 0.05);
    let shift = v(draw.range(0.06, 0.22), -depth);
    let (left, right) = (v(-0.75, 0.0), v(0.75, 0.0));
    let inset = v(0.08, 0.0);
    figure.tone(0.72);
    for corner in [left + shift + inset, right + shift - inset] {
        figure.part("leg");
        figure.limb(corner, corner + v(0.0, leg), [r, r * 0.8], Role::Second);
    }
    figure.tone(1.0);
    figure.part("shelf");
    let (a, b) = (left + inset + v(0.0, leg * 0.68), right - inset + v(0.0, leg * 0.68));
    figure.polygon(&[a, b, b + shift * 0.7, a + shift * 0.7], Role::Accent);
    for corner in [left + inset, right - inset] {
        figure.part("leg");
        figure.limb(corner + v(0.0, 0.05), corner + v(0.0, leg), [r * 1.2, r * 0.9], Role::Second);
    }
    figure.part("top");
    figure.polygon(&[left, right, right + shift, left + shift], Role::Main);
    figure.tone(0.75);
    figure.rect(left, right + v(0.0, 0.06), Role::Main);
    figure.tone(1.0);
    figure.part("drawer");
    let x = draw.range(-0.3, 0.3);
    figure.rect(v(x - 0.22, 0.05), v(x + 0.22, 0.2), Role::Detail);
    figure.disc(v(x, 0.12), 0.03, Role::Dark);
}

pub(super) fn lamp(figure: &mut Figure, draw: &mut Draw) {
    let pole = draw.range(0.5, 1.15);
    let (top, bottom) = (draw.range(0.12, 0.24), draw.range(0.3, 0.42));
    figure.part("base");
    figure.ellipse(v(0.0, pole), v(draw.range(0.24, 0.34), 0.075), 0.0, Role::Detail);
    figure.part("pole");
    let r = draw.range(0.028, 0.05);
    figure.limb(v(0.0, 0.0), v(0.0, pole), [r, r * 1.2], Role::Second);
    if draw.chance(0.4) {
        figure.disc(v(0.0, pole * 0.6), r * 2.4, Role::Second);
    }
    figure.part("bulb");
    figure.ellipse(v(0.0, 0.12), v(0.1, 0.13), 0.0, Role::Light);
    figure.part("shade");
    figure.polygon(&[v(-top, -0.42), v(top, -0.42), v(bottom, 0.06), v(-bottom, 0.06)], Role::Main);
    figure.part("rim");
    figure.ellipse(v(0.0, -0.42), v(top, 0.04), 0.0, Role::Accent);
    figure.limb(v(-bottom, 0.05), v(bottom, 0.05), [0.03; 2], Role::Accent);
}

pub(super) fn mug(figure: &mut Figure, draw: &mut Draw) {
    let height = draw.range(0.38, 0.55);
    let foot = draw.range(0.28, 0.38);
    figure.part("handle");
    let middle = draw.range(-0.08, 0.06);
    figure.ring(
        v(0.4, middle),
        v(draw.range(0.22, 0.28), height * draw.range(0.5, 0.65)),
        0.66,
        Role::Second,
    );
    figure.part("body");
    figure.curve(
        &[
            v(-0.4, -height),
            v(0.4, -height),
            v(0.4, 0.0),
            v(foot, height),
            v(0.0, height + 0.05),
            v(-foot, height),
            v(-0.4, 0.0),
        ],
        Role::Main,
    );
    figure.part("band");
    let y = draw.range(-0.1, 0.12);
    figure.rect(v(-0.4, y), v(0.4, y + 0.14), Role::Accent);
    figure.part("base");
    figure.limb(
        v(-foot + 0.03, height + 0.03),
        v(foot - 0.03, height + 0.03),
        [0.04; 2],
        Role::Second,
    );
    figure.part("rim");
    figure.ellipse(v(0.0, -height), v(0.42, 0.11), 0.0, Role::Second);
    figure.ellipse(v(0.0, -height + 0.01), v(0.35, 0.075), 0.0, Role::Detail);
}

pub(super) fn bottle(figure: &mut Figure, draw: &mut Draw) {
    let (width, neck) = (draw.range(0.22, 0.32), draw.range(0.08, 0.12));
    let shoulder = draw.range(-0.3, -0.05);
    let top = shoulder - draw.range(0.4, 0.6);
    figure.part("neck");
    figure.rect(v(-neck, top), v(neck, shoulder), Role::Main);
    figure.part("body");
    figure.curve(
        &[
            v(-neck, shoulder - 0.16),
            v(neck, shoulder - 0.16),
            v(width, shoulder + 0.14),
            v(width, 0.4),
            v(width * 0.96, 0.78),
            v(-width * 0.96, 0.78),
            v(-width, 0.4),
            v(-width, shoulder + 0.14),
        ],
        Role::Main,
    );
    figure.part("label");
    let y = shoulder + draw.range(0.26, 0.34);
    figure.rect(v(-width * 0.97, y), v(width * 0.97, y + draw.range(0.24, 0.36)), Role::Second);
    figure.rect(v(-width * 0.6, y + 0.08), v(width * 0.6, y + 0.14), Role::Accent);
    figure.part("base");
    figure.tone(0.7);
    figure.rect(v(-width * 0.94, 0.7), v(width * 0.94, 0.8), Role::Main);
    figure.tone(1.0);
    figure.part("cap");
    figure.rect(v(-neck * 1.25, top - 0.14), v(neck * 1.25, top + 0.02), Role::Detail);
}

pub(super) fn teapot(figure: &mut Figure, draw: &mut Draw) {
    let height = draw.range(0.36, 0.46);
    figure.part("handle");
    figure.ring(v(-0.46, -0.04), v(draw.range(0.24, 0.3), 0.3), 0.72, Role::Second);
    figure.part("spout");
    let mouth = v(draw.range(0.78, 0.92), draw.range(-0.4, -0.26));
    figure.limb(v(0.34, 0.14), v(0.62, -0.04), [0.15, 0.085], Role::Main);
    figure.limb(v(0.62, -0.04), mouth, [0.085, 0.055], Role::Main);
    figure.part("base");
    figure.limb(v(-0.24, height), v(0.24, height), [0.06; 2], Role::Second);
    figure.part("body");
    figure.ellipse(v(0.0, 0.0), v(0.5, height), 0.0, Role::Main);
    figure.part("lid");
    figure.curve(
        &[
            v(-0.28, -height * 0.8),
            v(-0.16, -height - 0.06),
            v(0.16, -height - 0.06),
            v(0.28, -height * 0.8),
            v(0.0, -height * 0.72),
        ],
        Role::Accent,
    );
    figure.part("knob");
    figure.disc(v(0.0, -height - 0.12), draw.range(0.07, 0.1), Role::Detail);
}

pub(super) fn potted_plant(figure: &mut Figure, draw: &mut Draw) {
    let (top, bottom) = (draw.range(0.26, 0.36), draw.range(0.16, 0.26));
    let root = v(0.0, 0.16);
    let tip = v(draw.range(-0.1, 0.1), draw.range(-0.75, -0.5));
    figure.part("stem");
    figure.limb(root, tip, [0.045, 0.03], Role::Accent);
    let n = draw.count(4, 6);
    for i in 0..n {
        let side = if i % 2 == 0 { 1.0 } else { -1.0 };
        let at = root.toward(tip, 0.22 + 0.7 * i as f32 / n as f32);
        let degrees = 90.0 - side * draw.range(35.0, 85.0);
        let length = draw.range(0.32, 0.48);
        figure.part("leaf");
        figure.tone(draw.range(0.8, 1.1));
        let (end, half) =
            (at + Vec2::polar(degrees, length), Vec2::polar(degrees + 90.0, length * 0.24));
        figure.curve(
            &[at, at.toward(end, 0.45) + half, end, at.toward(end, 0.45) - half],
            Role::Accent,
        );
    }
    figure.tone(1.0);
    if draw.chance(0.75) {
        figure.part("flower");
        for i in 0..6 {
            figure.disc(tip + Vec2::polar(60.0 * i as f32, 0.11), 0.085, Role::Detail);
        }
        figure.disc(tip, 0.07, Role::Light);
    }
    figure.part("pot");
    figure.polygon(&[v(-top, 0.2), v(top, 0.2), v(bottom, 0.72), v(-bottom, 0.72)], Role::Main);
    figure.part("rim");
    figure.rect(v(-top - 0.05, 0.12), v(top + 0.05, 0.25), Role::Second);
}

pub(super) fn cactus(figure: &mut Figure, draw: &mut Draw) {
    let top = draw.range(-0.75, -0.5);
    let r = draw.range(0.13, 0.17);
    for side in [-1.0, 1.0] {
        if draw.chance(0.85) {
            figure.part("arm");
            let at = v(0.0, draw.range(-0.3, 0.0));
            let elbow = at + v(side * draw.range(0.26, 0.36), draw.range(-0.02, 0.06));
            let hand = elbow + v(side * 0.02, -draw.range(0.2, 0.4));
            figure.limb(at, elbow, [r * 0.6; 2], Role::Accent);
            figure.limb(elbow, hand, [r * 0.62, r * 0.55], Role::Accent);
        }
    }
    figure.part("trunk");
    figure.limb(v(0.0, 0.2), v(0.0, top), [r, r * 0.9], Role::Accent);
    figure.tone(0.7);
    for x in [-0.45, 0.0, 0.45] {
        figure.limb(v(x * r, 0.15), v(x * r, top), [0.012; 2], Role::Accent);
    }
    figure.tone(1.0);
    figure.part("flower");
    for i in 0..5 {
        figure.disc(
            v(0.0, top - r) + Vec2::polar(18.0 + 72.0 * i as f32, 0.07),
            0.06,
            Role::Detail,
        );
    }
    figure.part("pot");
    figure.polygon(&[v(-0.3, 0.2), v(0.3, 0.2), v(0.2, 0.62), v(-0.2, 0.62)], Role::Main);
    figure.part("rim");
    figure.rect(v(-0.34, 0.12), v(0.34, 0.24), Role::Second);
}
