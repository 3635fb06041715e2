//! Car, bus, truck and bicycle, seen from the side.

use crate::{
    draw::Draw,
    figure::{Figure, Role},
    geometry::{Vec2, v},
};

fn wheel(figure: &mut Figure, center: Vec2, radius: f32) {
    figure.part("wheel");
    figure.disc(center, radius, Role::Dark);
    figure.disc(center, radius * 0.55, Role::Light);
    figure.disc(center, radius * 0.2, Role::Dark);
}

pub(super) fn car(figure: &mut Figure, draw: &mut Draw) {
    let height = draw.range(0.38, 0.5);
    let (rear, front) = (draw.range(-0.86, -0.6), draw.range(0.4, 0.62));
    let roof_rear = rear + draw.range(0.06, 0.3);
    let roof_front = front - draw.range(0.28, 0.42);
    let (belt, roof) = (-0.12, -0.12 - height);

    figure.part("roof");
    figure.curve(
        &[
            v(rear, belt + 0.06),
            v(roof_rear, roof + 0.02),
            v((roof_rear + roof_front) / 2.0, roof - 0.02),
            v(roof_front, roof + 0.02),
            v(front, belt + 0.06),
        ],
        Role::Main,
    );
    let middle = (roof_rear + roof_front) / 2.0 + 0.02;
    let sill = belt - 0.02;
    for (bottom, top) in [
        ([rear + 0.13, middle - 0.03], [roof_rear + 0.07, middle - 0.03]),
        ([middle + 0.03, front - 0.13], [middle + 0.03, roof_front - 0.04]),
    ] {
        figure.part("window");
        figure.polygon(
            &[
                v(bottom[0], sill),
                v(top[0], roof + 0.07),
                v(top[1], roof + 0.07),
                v(bottom[1], sill),
            ],
            Role::Light,
        );
    }
    figure.part("body");
    figure.curve(
        &[
            v(-0.98, 0.2),
            v(-1.0, 0.0),
            v(-0.92, -0.12),
            v(-0.4, -0.14),
            v(0.45, -0.13),
            v(0.84, -0.06),
            v(0.99, 0.06),
            v(0.98, 0.2),
            v(0.5, 0.23),
            v(-0.5, 0.23),
        ],
        Role::Main,
    );
    figure.part("door");
    figure.tone(0.86);
    figure.polygon(
        &[
            v(middle + 0.01, -0.11),
            v(front - 0.1, -0.11),
            v(front - 0.16, 0.19),
            v(middle + 0.01, 0.19),
        ],
        Role::Main,
    );
    figure.tone(1.0);
    figure.rect(v(middle + 0.04, -0.05), v(middle + 0.13, -0.02), Role::Dark);
    figure.part("bumper");
    figure.limb(v(0.84, 0.2), v(1.0, 0.17), [0.05, 0.05], Role::Accent);
    figure.part("headlight");
    figure.ellipse(v(0.9, 0.04), v(0.085, 0.05), -25.0, Role::Light);
    let radius = draw.range(0.18, 0.22);
    wheel(figure, v(-0.58, 0.22), radius);
    wheel(figure, v(0.6, 0.22), radius);
}

pub(super) fn bus(figure: &mut Figure, draw: &mut Draw) {
    let roof = draw.range(-0.62, -0.46);
    figure.part("body");
    figure.polygon(
        &[
            v(-1.0, 0.3),
            v(-1.0, roof + 0.08),
            v(-0.95, roof),
            v(0.93, roof),
            v(1.0, roof + 0.12),
            v(1.02, 0.3),
        ],
        Role::Main,
    );
    figure.part("stripe");
    let stripe = draw.range(-0.02, 0.06);
    figure.rect(v(-1.0, stripe), v(1.01, stripe + 0.09), Role::Accent);
    let n = draw.count(3, 4);
    let width = 1.42 / n as f32;
    let (top, bottom) = (roof + 0.1, roof + draw.range(0.32, 0.38));
    for i in 0..n {
        figure.part("window");
        let left = -0.92 + width * i as f32;
        figure.rect(v(left, top), v(left + width - 0.07, bottom), Role::Light);
    }
    figure.part("door");
    figure.tone(0.8);
    figure.rect(v(0.56, top), v(0.8, 0.27), Role::Second);
    figure.tone(1.0);
    figure.rect(v(0.6, top + 0.05), v(0.76, 0.02), Role::Light);
    figure.part("windshield");
    figure.polygon(
        &[v(0.86, top - 0.02), v(0.97, top), v(1.01, bottom + 0.06), v(0.86, bottom + 0.06)],
        Role::Light,
    );
    figure.part("headlight");
    figure.ellipse(v(0.95, 0.18), v(0.05, 0.05), 0.0, Role::Detail);
    let radius = draw.range(0.15, 0.18);
    wheel(figure, v(-0.6, 0.3), radius);
    wheel(figure, v(0.36, 0.3), radius);
}

pub(super) fn truck(figure: &mut Figure, draw: &mut Draw) {
    let roof = draw.range(-0.72, -0.5);
    let cab_roof = draw.range(-0.5, -0.36);
    figure.part("bumper");
    figure.rect(v(-0.98, 0.2), v(1.0, 0.3), Role::Accent);
    figure.part("cargo box");
    figure.rect(v(-1.0, roof), v(0.42, 0.22), Role::Second);
    figure.tone(0.82);
    for i in 1..5 {
        let x = -1.0 + 0.284 * i as f32;
        figure.rect(v(x - 0.012, roof), v(x + 0.012, 0.22), Role::Second);
    }
    figure.tone(1.0);
    figure.part("cab");
    let nose = draw.range(0.0, 0.16);
    figure.polygon(
        &[
            v(0.48, 0.26),
            v(0.48, cab_roof),
            v(0.76, cab_roof),
            v(0.9 - nose * 0.5, -0.1),
            v(0.98, -0.04 + nose * 0.3),
            v(1.0, 0.26),
        ],
        Role::Main,
    );
    figure.part("window");
    figure.polygon(
        &[
            v(0.56, cab_roof + 0.07),
            v(0.74, cab_roof + 0.07),
            v(0.86 - nose * 0.5, -0.1),
            v(0.56, -0.1),
        ],
        Role::Light,
    );
    figure.part("headlight");
    figure.ellipse(v(0.95, 0.1), v(0.055, 0.055), 0.0, Role::Detail);
    let radius = draw.range(0.15, 0.19);
    for x in [-0.72, -0.34, 0.72] {
        wheel(figure, v(x, 0.3), radius);
    }
}

pub(super) fn bicycle(figure: &mut Figure, draw: &mut Draw) {
    let radius = draw.range(0.36, 0.42);
    let (rear, front) = (v(-0.58, 0.3), v(0.6, 0.3));
    for center in [rear, front] {
        figure.part("wheel");
        let turn = draw.range(0.0, 60.0);
        for i in 0..3 {
            let spoke = Vec2::polar(turn + 60.0 * i as f32, radius * 0.95);
            figure.limb(center - spoke, center + spoke, [0.009; 2], Role::Light);
        }
        figure.ring(center, v(radius, radius), 0.83, Role::Dark);
        figure.disc(center, 0.05, Role::Dark);
    }
    let crank = v(-0.06, 0.32);
    let seat = v(-0.24, draw.range(-0.32, -0.24));
    let head = v(0.42, draw.range(-0.34, -0.26));
    let r = [0.034; 2];
    figure.part("frame");
    figure.limb(rear, crank, r, Role::Main);
    figure.limb(rear, seat.toward(crank, 0.15), r, Role::Main);
    figure.limb(crank, seat, r, Role::Main);
    figure.limb(seat.toward(crank, 0.12), head, r, Role::Main);
    figure.limb(crank, head.toward(front, 0.15), [0.042; 2], Role::Main);
    figure.limb(head, front, r, Role::Main);
    figure.part("pedal");
    let turn = draw.range(0.0, 180.0);
    figure.disc(crank, 0.085, Role::Second);
    for side in [0.0, 180.0] {
        let end = crank + Vec2::polar(turn + side, 0.19);
        figure.limb(crank, end, [0.024; 2], Role::Second);
        figure.limb(end - v(0.06, 0.0), end + v(0.06, 0.0), [0.028; 2], Role::Dark);
    }
    figure.part("saddle");
    let top = seat - v(0.02, 0.1);
    figure.limb(seat, top, [0.025; 2], Role::Second);
    figure.limb(top - v(0.13, 0.01), top + v(0.13, 0.0), [0.062, 0.03], Role::Accent);
    figure.part("handlebar");
    let stem = head + v(-0.03, -0.14);
    figure.limb(head, stem, [0.028; 2], Role::Second);
    let grip = if draw.chance(0.5) { v(0.16, 0.1) } else { v(-0.15, -0.02) };
    figure.limb(stem, stem + v(0.12, -0.01), [0.028; 2], Role::Accent);
    figure.limb(stem + v(0.12, -0.01), stem + v(0.12, -0.01) + grip, [0.03, 0.036], Role::Accent);
}
