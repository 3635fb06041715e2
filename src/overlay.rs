//! Pictures with marked points and captions.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use tp_core::{ImageHw, Letterbox, RgbImage, UnitXy};
use tp_vision::FoundObject;

/// The color of the described point.
pub const TRUE_POINT: [u8; 3] = [40, 220, 90];
/// The color of the located point.
pub const FOUND_POINT: [u8; 3] = [255, 70, 190];

const INK: [u8; 3] = [30, 30, 34];
const PAPER: [u8; 3] = [250, 249, 246];
const LINE_PX: f32 = 20.0;
const MARGIN_PX: u32 = 14;

/// A photograph, enlarged for viewing, with marked points and lines of text below it.
#[derive(Clone, Debug)]
pub struct Overlay {
    canvas: RgbImage,
    scale: u32,
    photograph: ImageHw,
    captions: Vec<(String, [u8; 3])>,
}

impl Overlay {
    /// A copy of a photograph, enlarged by an integer factor until its longer side has at least 600
    /// pixels.
    #[must_use]
    pub fn new(photograph: &RgbImage) -> Self {
        let size = photograph.size();
        let scale = 600_u32.div_ceil(size.height().max(size.width())).max(1);
        let mut canvas = RgbImage::filled(enlarged(size, scale), PAPER);
        for row in 0..canvas.size().height() as usize {
            for column in 0..canvas.size().width() as usize {
                canvas.set_pixel(
                    row,
                    column,
                    photograph.pixel(row / scale as usize, column / scale as usize),
                );
            }
        }
        Self { canvas, scale, photograph: size, captions: Vec::new() }
    }

    /// Marks a point with a ring and a dot, outlined in black for contrast with any background.
    pub fn ring(&mut self, at: UnitXy, colour: [u8; 3]) {
        let center = self.canvas.size().pixel_from_unit(at);
        let radius = f64::from(self.canvas.size().height().max(self.canvas.size().width())) / 55.0;
        self.paint(|x, y| {
            let distance = (x - center.x).hypot(y - center.y);
            let from_ring = (distance - radius).abs();
            if from_ring < 1.6 || distance < 2.2 {
                Some(colour)
            } else if from_ring < 3.0 || distance < 3.6 {
                Some([0, 0, 0])
            } else {
                None
            }
        });
    }

    /// Marks the described point in green and, joined with it by a line, the located one in pink.
    pub fn asked_and_found(&mut self, asked: UnitXy, found: Option<UnitXy>) {
        if let Some(found) = found {
            self.line(asked, found, FOUND_POINT);
            self.ring(found, FOUND_POINT);
        }
        self.ring(asked, TRUE_POINT);
    }

    /// Joins two points with a line.
    pub fn line(&mut self, from: UnitXy, to: UnitXy, colour: [u8; 3]) {
        let (a, b) =
            (self.canvas.size().pixel_from_unit(from), self.canvas.size().pixel_from_unit(to));
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length_squared = (dx * dx + dy * dy).max(1e-9);
        self.paint(|x, y| {
            let t = (((x - a.x) * dx + (y - a.y) * dy) / length_squared).clamp(0.0, 1.0);
            ((x - a.x - t * dx).hypot(y - a.y - t * dy) < 1.2).then_some(colour)
        });
    }

    /// Tints every pixel of the photograph by a weight in [0, 1].
    pub fn heat(&mut self, weight: impl Fn(UnitXy) -> f64, colour: [u8; 3]) {
        let size = self.canvas.size();
        for row in 0..size.height() as usize {
            for column in 0..size.width() as usize {
                let place = UnitXy::nearest(
                    (column as f64 + 0.5) / f64::from(size.width()),
                    (row as f64 + 0.5) / f64::from(size.height()),
                );
                let weight = weight(place).clamp(0.0, 1.0);
                self.canvas.set_pixel(
                    row,
                    column,
                    blended(self.canvas.pixel(row, column), colour, weight),
                );
            }
        }
    }

    /// Tints the cells of an object that the vision model found.
    ///
    /// - `grid`: rows and columns of the cells, those of the encoded image's mask features
    /// - `letterbox`: that of the encoded image
    pub fn object(
        &mut self,
        object: &FoundObject,
        [height, width]: [usize; 2],
        letterbox: &Letterbox,
        colour: [u8; 3],
    ) {
        let index = |v: f64, n: usize| ((v * n as f64) as usize).min(n - 1);
        let is_inside = |place| {
            let at = letterbox.model_from_unit(place);
            object.cells[index(at.y, height) * width + index(at.x, width)]
        };
        self.heat(|place| if is_inside(place) { 0.5 } else { 0.0 }, colour);
    }

    /// Adds a paragraph below the photograph, wrapped to its width.
    pub fn caption(&mut self, text: impl Into<String>, colour: Option<[u8; 3]>) {
        self.captions.push((text.into(), colour.unwrap_or(INK)));
    }

    /// The finished picture.
    ///
    /// # Panics
    ///
    /// Never, because the font is bundled.
    #[must_use]
    pub fn finish(self) -> RgbImage {
        let font =
            FontRef::try_from_slice(tp_train::plot::FONT).expect("the bundled font is valid");
        let size = self.canvas.size();
        let room = size.width().saturating_sub(2 * MARGIN_PX) as f32;
        let lines: Vec<(String, [u8; 3])> = self
            .captions
            .iter()
            .flat_map(|(text, colour)| {
                wrapped(&font, text, room).into_iter().map(move |line| (line, *colour))
            })
            .collect();
        if lines.is_empty() {
            return self.canvas;
        }
        let text_height = 2 * MARGIN_PX + (lines.len() as f32 * LINE_PX * 1.25) as u32;
        let page =
            ImageHw::new(size.height() + text_height, size.width()).expect("a page is not empty");
        let mut bytes = self.canvas.into_bytes();
        bytes.extend(PAPER.repeat((text_height * size.width()) as usize));
        let mut page = RgbImage::from_bytes(page, bytes).expect("rows were added whole");
        for (index, (line, colour)) in lines.iter().enumerate() {
            let baseline =
                size.height() as f32 + MARGIN_PX as f32 + LINE_PX * (0.8 + 1.25 * index as f32);
            write_line(&mut page, &font, line, MARGIN_PX as f32, baseline, *colour);
        }
        page
    }

    /// The size of the photograph before enlargement.
    #[must_use]
    pub fn photograph_size(&self) -> ImageHw {
        self.photograph
    }

    /// The enlargement factor.
    #[must_use]
    pub fn scale(&self) -> u32 {
        self.scale
    }

    fn paint(&mut self, colour_at: impl Fn(f64, f64) -> Option<[u8; 3]>) {
        let size = self.canvas.size();
        for row in 0..size.height() as usize {
            for column in 0..size.width() as usize {
                if let Some(colour) = colour_at(column as f64, row as f64) {
                    self.canvas.set_pixel(row, column, colour);
                }
            }
        }
    }
}

fn enlarged(size: ImageHw, scale: u32) -> ImageHw {
    ImageHw::new(size.height() * scale, size.width() * scale).expect("a photograph is not empty")
}

fn blended(under: [u8; 3], over: [u8; 3], weight: f64) -> [u8; 3] {
    std::array::from_fn(|i| {
        (f64::from(under[i]) * (1.0 - weight) + f64::from(over[i]) * weight).round() as u8
    })
}

/// Wraps a paragraph at spaces so that every line fits.
fn wrapped(font: &FontRef<'_>, text: &str, room: f32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if line.is_empty() || width_of(font, &longer) <= room {
            *line = longer;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn width_of(font: &FontRef<'_>, text: &str) -> f32 {
    let font = font.as_scaled(PxScale::from(LINE_PX));
    text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
}

fn write_line(
    page: &mut RgbImage,
    font: &FontRef<'_>,
    text: &str,
    left: f32,
    baseline: f32,
    colour: [u8; 3],
) {
    let scaled = font.as_scaled(PxScale::from(LINE_PX));
    let size = page.size();
    let mut x = left;
    for character in text.chars() {
        let id = scaled.glyph_id(character);
        let glyph = id.with_scale_and_position(LINE_PX, point(x, baseline));
        if let Some(outline) = font.outline_glyph(glyph) {
            let bounds = outline.px_bounds();
            outline.draw(|column, row, coverage| {
                let (column, row) =
                    (bounds.min.x as i64 + i64::from(column), bounds.min.y as i64 + i64::from(row));
                if (0..i64::from(size.width())).contains(&column)
                    && (0..i64::from(size.height())).contains(&row)
                {
                    let (row, column) = (row as usize, column as usize);
                    page.set_pixel(
                        row,
                        column,
                        blended(page.pixel(row, column), colour, f64::from(coverage)),
                    );
                }
            });
        }
        x += scaled.h_advance(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_is_drawn_around_its_point() {
        let photograph = RgbImage::filled(ImageHw::new(300, 600).unwrap(), [128, 128, 128]);
        let mut overlay = Overlay::new(&photograph);
        assert_eq!(overlay.scale(), 1);
        overlay.ring(UnitXy::new(0.25, 0.5).unwrap(), TRUE_POINT);
        let picture = overlay.finish();
        assert_eq!(picture.pixel(150, 150), TRUE_POINT); // the dot: 0.25 · 600, 0.5 · 300
        assert_eq!(picture.pixel(10, 590), [128, 128, 128]);
    }

    #[test]
    fn captions_add_rows_and_keep_the_photograph() {
        let photograph = RgbImage::filled(ImageHw::new(600, 600).unwrap(), [9, 9, 9]);
        let mut overlay = Overlay::new(&photograph);
        overlay.caption("a word ".repeat(60), None);
        let picture = overlay.finish();
        assert!(picture.size().height() > 700);
        assert_eq!(picture.pixel(599, 0), [9, 9, 9]);
        assert!(
            picture.bytes()[600 * 600 * 3..].iter().any(|&byte| byte < 100),
            "text below the photograph"
        );
    }

    #[test]
    fn one_pixel_image_becomes_a_picture_too() {
        let overlay = Overlay::new(&RgbImage::filled(ImageHw::new(1, 1).unwrap(), [1, 2, 3]));
        assert_eq!(overlay.finish().size().width(), 600);
    }
}
