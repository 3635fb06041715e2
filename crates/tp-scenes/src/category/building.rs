//! House and tower.

use crate::{
    draw::Draw,
    figure::{Figure, Role},
    geometry::v,
};

pub(super) fn house(figure: &mut Figure, draw: &mut Draw) {
    let (half, height) = (draw.range(0.6, 0.8), draw.range(0.55, 0.8));
    let ridge = -draw.range(0.4, 0.6);
    figure.part("chimney");
    let x = draw.pick(&[-0.36, 0.26]) * half / 0.7;
    figure.rect(v(x, ridge - 0.12), v(x + 0.15, -0.1), Role::Detail);
    figure.rect(v(x - 0.03, ridge - 0.16), v(x + 0.18, ridge - 0.09), Role::Dark);
    figure.part("wall");
    figure.rect(v(-half, -0.02), v(half, height), Role::Main);
    figure.part("roof");
    if draw.chance(0.5) {
        figure.polygon(&[v(-half - 0.12, 0.03), v(0.0, ridge), v(half + 0.12, 0.03)], Role::Second);
    } else {
        figure.polygon(
            &[
                v(-half - 0.1, 0.03),
                v(-half * 0.62, ridge),
                v(half * 0.62, ridge),
                v(half + 0.1, 0.03),
            ],
            Role::Second,
        );
    }
    let door = draw.pick(&[-0.5, 0.0, 0.5]) * half;
    figure.part("door");
    figure.rect(v(door - 0.12, height - 0.42), v(door + 0.12, height), Role::Accent);
    figure.disc(v(door + 0.07, height - 0.2), 0.022, Role::Light);
    for place in [-0.5, 0.0, 0.5] {
        let x = place * half;
        if x != door {
            figure.part("window");
            let y = height - draw.range(0.42, 0.46);
            figure.rect(v(x - 0.14, y - 0.03), v(x + 0.14, y + 0.25), Role::Detail);
            figure.rect(v(x - 0.11, y), v(x + 0.11, y + 0.22), Role::Light);
            figure.rect(v(x - 0.012, y), v(x + 0.012, y + 0.22), Role::Detail);
            figure.rect(v(x - 0.11, y + 0.1), v(x + 0.11, y + 0.125), Role::Detail);
        }
    }
    figure.part("step");
    figure.rect(v(door - 0.18, height - 0.03), v(door + 0.18, height + 0.05), Role::Detail);
}

pub(super) fn tower(figure: &mut Figure, draw: &mut Draw) {
    let (half, top) = (draw.range(0.22, 0.3), -draw.range(0.5, 0.75));
    figure.part("flag");
    let mast = top - draw.range(0.5, 0.6);
    figure.limb(v(0.0, top), v(0.0, mast), [0.02; 2], Role::Dark);
    figure.polygon(
        &[v(0.0, mast), v(draw.range(0.28, 0.36), mast + 0.09), v(0.0, mast + 0.19)],
        Role::Accent,
    );
    let roofed = draw.chance(0.45);
    if roofed {
        figure.part("roof");
        figure.polygon(
            &[v(-half - 0.12, top - 0.1), v(0.0, top - 0.48), v(half + 0.12, top - 0.1)],
            Role::Second,
        );
    }
    figure.part("wall");
    figure.polygon(
        &[v(-half, top), v(half, top), v(half * 1.2, 0.75), v(-half * 1.2, 0.75)],
        Role::Main,
    );
    figure.part("battlement");
    figure.tone(0.86);
    figure.rect(v(-half - 0.07, top - 0.05), v(half + 0.07, top + 0.1), Role::Main);
    let width = (half + 0.07) * 2.0 / 7.0;
    for i in [0, 2, 4, 6] {
        let left = -half - 0.07 + width * i as f32;
        figure.rect(v(left, top - 0.15), v(left + width, top - 0.04), Role::Main);
    }
    figure.tone(1.0);
    for y in [top + 0.24, top + draw.range(0.6, 0.7)] {
        figure.part("window");
        figure.rect(v(-0.07, y), v(0.07, y + 0.18), Role::Dark);
        figure.disc(v(0.0, y), 0.07, Role::Dark);
    }
    figure.part("door");
    figure.rect(v(-0.13, 0.45), v(0.13, 0.75), Role::Detail);
    figure.disc(v(0.0, 0.45), 0.13, Role::Detail);
}
