//! How one of several objects with the same name is distinguished by position and size: left or
//! right, first or last in a row, in which row, largest or smallest.

use crate::BoxXywh;

/// A direction in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Left,
    Right,
    Top,
    Bottom,
}

/// A property that distinguishes an object from all others with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is no other.
    Only,
    /// Further in a direction than all others.
    Outermost(Direction),
    /// Both at the top or bottom, and at the left or right.
    Corner(Direction, Direction),
    /// The number of objects that are nearer to the left or right end: 1 is the second from there.
    From(Direction, usize),
    /// The middle one in a row of three or five.
    Middle,
    /// In one of several rows, with the index of the row from the top or bottom, and the rank from
    /// the left or right within it.
    InRow(Direction, usize, (Direction, usize)),
    /// Clearly larger than all others.
    Largest,
    /// Clearly smaller than all others.
    Smallest,
}

/// Higher ordinals are not used.
const MOST_COUNTED: usize = 5;

/// The minimum ratio between the largest area and the next.
const CLEARLY_LARGER: f64 = 1.6;

/// All properties that distinguish the box `at` from the others. They depend on the centers; nearly
/// equal positions have no order.
pub(super) fn standings(boxes: &[BoxXywh], at: usize) -> Vec<Standing> {
    let Some(this) = boxes.get(at) else {
        return Vec::new();
    };
    if boxes.len() == 1 {
        return vec![Standing::Only];
    }
    let others: Vec<&BoxXywh> = boxes
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != at)
        .map(|(_, other)| other)
        .collect();
    let mut standings = Vec::new();
    let is_outermost = |direction| others.iter().all(|other| is_further(direction, this, other));
    let outermost: Vec<Direction> =
        [Direction::Left, Direction::Right, Direction::Top, Direction::Bottom]
            .into_iter()
            .filter(|&way| is_outermost(way))
            .collect();
    standings.extend(outermost.iter().map(|&direction| Standing::Outermost(direction)));
    for vertical in [Direction::Top, Direction::Bottom] {
        for horizontal in [Direction::Left, Direction::Right] {
            if outermost.contains(&vertical) && outermost.contains(&horizontal) {
                standings.push(Standing::Corner(vertical, horizontal));
            }
        }
    }
    if boxes.len() > 2 {
        standings.extend(in_line(this, &others));
        standings.extend(in_rows(boxes, this));
    }
    let area = this.area();
    if others.iter().all(|other| area > CLEARLY_LARGER * other.area()) {
        standings.push(Standing::Largest);
    }
    if others.iter().all(|other| other.area() > CLEARLY_LARGER * area) {
        standings.push(Standing::Smallest);
    }
    standings
}

/// Whether `a` lies clearly further in a direction than `b`: by a third of the larger extent, and
/// at least two pixels.
fn is_further(direction: Direction, a: &BoxXywh, b: &BoxXywh) -> bool {
    let (from, to) = (a.center(), b.center());
    let (distance, extent) = match direction {
        Direction::Left => (to.x - from.x, a.width.max(b.width)),
        Direction::Right => (from.x - to.x, a.width.max(b.width)),
        Direction::Top => (to.y - from.y, a.height.max(b.height)),
        Direction::Bottom => (from.y - to.y, a.height.max(b.height)),
    };
    distance > (extent / 3.0).max(2.0)
}

/// The rank from the nearer end of a line in which all others have a clear order relative to this
/// one.
fn in_line(this: &BoxXywh, others: &[&BoxXywh]) -> Vec<Standing> {
    let n_left = others.iter().filter(|other| is_further(Direction::Left, other, this)).count();
    let n_right = others.iter().filter(|other| is_further(Direction::Right, other, this)).count();
    if n_left + n_right < others.len() || n_left == 0 || n_right == 0 {
        return Vec::new();
    }
    let mut standings = Vec::new();
    if n_left <= n_right && n_left <= MOST_COUNTED {
        standings.push(Standing::From(Direction::Left, n_left));
    }
    if n_right <= n_left && n_right <= MOST_COUNTED {
        standings.push(Standing::From(Direction::Right, n_right));
    }
    // "The middle one" is used for a line only.
    let level = others.iter().all(|other| {
        (other.center().y - this.center().y).abs() < (other.center().x - this.center().x).abs()
    });
    if n_left == n_right && n_left <= 2 && level {
        standings.push(Standing::Middle);
    }
    standings
}

/// The row and the position in it, if all boxes form clear rows.
fn in_rows(boxes: &[BoxXywh], this: &BoxXywh) -> Option<Standing> {
    // Fewer objects are counted in one sequence.
    if boxes.len() < 6 {
        return None;
    }
    let mut by_height: Vec<&BoxXywh> = boxes.iter().collect();
    by_height.sort_by(|a, b| a.center().y.total_cmp(&b.center().y));
    let mut heights: Vec<f64> = boxes.iter().map(|bbox| bbox.height).collect();
    heights.sort_by(f64::total_cmp);
    let usual = heights[heights.len() / 2];
    let mut rows: Vec<Vec<&BoxXywh>> = Vec::new();
    for bbox in by_height {
        match rows.last_mut() {
            Some(row)
                if row
                    .last()
                    .is_some_and(|last| bbox.center().y - last.center().y < 0.6 * usual) =>
            {
                row.push(bbox)
            }
            _ => rows.push(vec![bbox]),
        }
    }
    let is_row = |row: &Vec<&BoxXywh>| {
        row.iter().all(|bbox| bbox.center().y - row[0].center().y < 0.6 * usual)
    };
    if rows.len() < 2 || rows.iter().any(|row| row.len() == 1) || !rows.iter().all(is_row) {
        return None;
    }
    let index = rows.iter().position(|row| row.iter().any(|bbox| std::ptr::eq(*bbox, this)))?;
    let (from, rank) = if index <= rows.len() / 2 {
        (Direction::Top, index)
    } else {
        (Direction::Bottom, rows.len() - 1 - index)
    };
    if rank > 2 {
        return None;
    }
    let others: Vec<&BoxXywh> =
        rows[index].iter().copied().filter(|bbox| !std::ptr::eq(*bbox, this)).collect();
    let n_left = others.iter().filter(|other| is_further(Direction::Left, other, this)).count();
    let n_right = others.iter().filter(|other| is_further(Direction::Right, other, this)).count();
    if n_left + n_right < others.len() {
        return None;
    }
    let column =
        if n_left <= n_right { (Direction::Left, n_left) } else { (Direction::Right, n_right) };
    (column.1 <= MOST_COUNTED).then_some(Standing::InRow(from, rank, column))
}

#[cfg(test)]
mod tests {
    use super::{
        Direction::{Bottom, Left, Right, Top},
        *,
    };

    /// Boxes of 10 by 10 pixels around these centers.
    fn boxes(centres: &[(f64, f64)]) -> Vec<BoxXywh> {
        centres
            .iter()
            .map(|&(x, y)| BoxXywh { x: x - 5.0, y: y - 5.0, width: 10.0, height: 10.0 })
            .collect()
    }

    #[test]
    fn one_alone_needs_no_words() {
        assert_eq!(standings(&boxes(&[(5.0, 5.0)]), 0), [Standing::Only]);
        assert_eq!(standings(&[], 0), []);
    }

    #[test]
    fn two_side_by_side_are_left_and_right_but_not_upper_and_lower() {
        // A vertical distance of three pixels is less than a third of ten.
        let two = boxes(&[(10.0, 20.0), (40.0, 23.0)]);
        assert_eq!(standings(&two, 0), [Standing::Outermost(Left)]);
        assert_eq!(standings(&two, 1), [Standing::Outermost(Right)]);
    }

    #[test]
    fn a_line_of_three_has_a_middle() {
        let three = boxes(&[(70.0, 20.0), (10.0, 20.0), (40.0, 21.0)]);
        assert_eq!(
            standings(&three, 2),
            [Standing::From(Left, 1), Standing::From(Right, 1), Standing::Middle]
        );
        assert_eq!(standings(&three, 1), [Standing::Outermost(Left)]);
    }

    #[test]
    fn what_is_level_has_no_order() {
        // Two at nearly the same x: neither is the leftmost, but one is higher.
        let three = boxes(&[(10.0, 20.0), (11.0, 60.0), (50.0, 40.0)]);
        assert_eq!(standings(&three, 0), [Standing::Outermost(Top)]);
        assert_eq!(standings(&three, 1), [Standing::Outermost(Bottom)]);
        // Two equal boxes cannot be distinguished.
        assert_eq!(standings(&boxes(&[(10.0, 20.0), (10.0, 20.0)]), 0), []);
    }

    #[test]
    fn windows_stand_in_rows() {
        let windows = boxes(&[
            (10.0, 10.0),
            (30.0, 11.0),
            (50.0, 10.0),
            (10.0, 40.0),
            (30.0, 40.0),
            (50.0, 41.0),
        ]);
        assert_eq!(standings(&windows, 1), [Standing::InRow(Top, 0, (Left, 1))]);
        assert_eq!(standings(&windows, 5), [Standing::InRow(Top, 1, (Right, 0))]);
    }

    #[test]
    fn sizes_count_when_they_differ_clearly() {
        let mut two = boxes(&[(10.0, 20.0), (40.0, 20.0)]);
        two[1] = BoxXywh { x: 30.0, y: 10.0, width: 13.0, height: 13.0 };
        // 169 to 100 is more than 1.6.
        assert!(
            standings(&two, 1).contains(&Standing::Largest)
                && standings(&two, 0).contains(&Standing::Smallest)
        );
        two[1].width = 12.0;
        assert!(!standings(&two, 1).contains(&Standing::Largest));
    }
}
