//! Connected components of a label map, which approximate instances if a map contains only classes.

use super::label_map::LabelMap;

/// The component index of every pixel, from 0 in reading order, or `None` where `label` is `None`;
/// and the label of every component. Pixels that touch at a corner are connected.
pub(super) fn components(
    map: &LabelMap,
    is_label: impl Fn(u16) -> bool,
) -> (Vec<Option<u32>>, Vec<u16>) {
    let (height, width) = (map.size.height() as usize, map.size.width() as usize);
    let mut area_of = vec![None; map.labels.len()];
    let mut labels = Vec::new();
    let mut open = Vec::new();
    for start in 0..map.labels.len() {
        let label = map.labels[start];
        if area_of[start].is_some() || !is_label(label) {
            continue;
        }
        let area = Some(labels.len() as u32);
        labels.push(label);
        area_of[start] = area;
        open.push(start);
        while let Some(at) = open.pop() {
            let (row, column) = (at / width, at % width);
            for row in row.saturating_sub(1)..(row + 2).min(height) {
                for column in column.saturating_sub(1)..(column + 2).min(width) {
                    let next = row * width + column;
                    if area_of[next].is_none() && map.labels[next] == label {
                        area_of[next] = area;
                        open.push(next);
                    }
                }
            }
        }
    }
    (area_of, labels)
}

#[cfg(test)]
mod tests {
    use tp_core::ImageHw;

    use super::*;

    #[test]
    fn areas_touch_at_corners_and_keep_to_one_label() {
        let map = LabelMap {
            size: ImageHw::new(3, 4).unwrap(),
            labels: vec![7, 9, 9, 7, 9, 7, 9, 9, 7, 9, 9, 5],
        };
        let (areas, labels) = components(&map, |label| label != 9);
        // The 7s of the left are one area through their corners; the 7 on the right is another.
        assert_eq!(labels, [7, 7, 5]);
        let expected = [0, 9, 9, 1, 9, 0, 9, 9, 0, 9, 9, 2].map(|area| (area < 9).then_some(area));
        assert_eq!(areas, expected);
    }
}
