//! What stands behind `--point` and `--text`.

use std::cell::OnceCell;

use tp_core::{ImageHw, PixelXy};
use tp_data::read_record;
use tp_language::{SpecialToken, Tokenizer, train_bpe};

thread_local! {
    static TOKENIZER: OnceCell<Tokenizer> = const { OnceCell::new() };
}

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(point) = text.parse::<PixelXy>() {
        let again: PixelXy =
            format!("{},{}", point.x, point.y).parse().expect("what we write we read");
        assert!(
            [again.x, again.y].map(f64::to_bits) == [point.x, point.y].map(f64::to_bits)
                || point.x.is_nan()
                || point.y.is_nan()
        );
        if let Ok(unit) = ImageHw::new(20, 30).expect("it has pixels").unit_from_pixel(point) {
            assert!((0.0..=1.0).contains(&unit.x()) && (0.0..=1.0).contains(&unit.y()));
        }
    }
    let _ = read_record(
        &text,
        &["horse".to_owned(), String::new()],
        &["left-ear".to_owned(), "head".to_owned()],
    );
    TOKENIZER.with(|tokenizer| {
        let tokenizer = tokenizer.get_or_init(|| {
            train_bpe(["the left ear of the horse"], 300).expect("the vocabulary is large enough")
        });
        let ids = tokenizer.encode_text(&text);
        assert!(SpecialToken::ALL.iter().all(|&token| !ids.contains(&tokenizer.special(token))));
        assert_eq!(tokenizer.decode(&ids), text);
    });
}
