//! What must not change what is written: padding, company, order, the cache, a shared prefix, rows
//! that end.

use std::{ops::ControlFlow, sync::LazyLock};

use burn::tensor::{Device, Tensor};
use tp_core::{Sampling, Seed};
use tp_language::{
    Completion, Decoder, DecoderConfig, GenerateOptions, LanguageError, NextAction, Prompts,
    generate, generate_watched, token_losses,
};

const VOCABULARY: u32 = 60;

/// One decoder for all tests: they run at once and share the device's generator, and parameters are
/// drawn when they are first used.
static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
    let device = Device::flex();
    device.seed(7);
    let mut decoder = DecoderConfig::new(VOCABULARY as usize, 32, 64, 2, 4, 2).init(&device);
    // As sure of itself as a trained model, so that another state would be another token.
    decoder.norm.gamma = decoder.norm.gamma.map(|gamma| gamma.mul_scalar(12.0));
    written(&decoder, &prompts(), &seeds(0..8), 0.0);
    decoder
});

fn decoder() -> Decoder {
    DECODER.clone()
}

/// Prompts of one to eight tokens.
fn prompts() -> Vec<Vec<u32>> {
    let prompt =
        |row: u32| (0..1 + row * 3 % 8).map(|at| (row * 17 + at * 5) % VOCABULARY).collect();
    (0..8).map(prompt).collect()
}

fn options(temperature: f32) -> GenerateOptions {
    GenerateOptions {
        max_new_tokens: 24,
        sampling: Sampling { temperature, ..Sampling::default() },
        stop: vec![3, 4],
    }
}

fn seeds(rows: impl IntoIterator<Item = usize>) -> Vec<u64> {
    rows.into_iter().map(|row| Seed(11).nth(row as u64).0).collect()
}

fn written(
    decoder: &Decoder,
    rows: &[Vec<u32>],
    seeds: &[u64],
    temperature: f32,
) -> Vec<Completion> {
    generate(decoder, None, Prompts::of_ids(decoder, rows), None, &options(temperature), seeds)
        .expect("they fit")
}

fn assert_same(what: &str, actual: &Completion, expected: &Completion) {
    assert_eq!((&actual.ids, actual.finished), (&expected.ids, expected.finished), "{what}");
    assert_eq!(actual.log_probs.len(), expected.log_probs.len(), "{what}");
    for (a, e) in actual.log_probs.iter().zip(&expected.log_probs) {
        assert!((a - e).abs() < 1e-5, "{what}: a log-probability of {a} instead of {e}");
    }
}

#[test]
fn row_is_the_same_alone_in_any_batch_and_in_any_order() {
    let (decoder, prompts) = (decoder(), prompts());
    for temperature in [0.0, 1.0] {
        let together = written(&decoder, &prompts, &seeds(0..8), temperature);
        let backwards: Vec<Vec<u32>> = prompts.iter().rev().cloned().collect();
        let backwards = written(&decoder, &backwards, &seeds((0..8).rev()), temperature);
        for (row, prompt) in prompts.iter().enumerate() {
            let alone = written(&decoder, std::slice::from_ref(prompt), &seeds([row]), temperature)
                .remove(0);
            assert_same("in a batch", &together[row], &alone);
            assert_same("in another order", &backwards[7 - row], &alone);
        }
        // Some rows end early and make room, some run to the last token: both ways were seen.
        assert!(
            together.iter().any(|row| row.finished) && together.iter().any(|row| !row.finished)
        );
    }
}

#[test]
fn what_pads_a_prompt_is_never_read() {
    let (decoder, prompts) = (decoder(), prompts());
    let expected = written(&decoder, &prompts, &seeds(0..8), 1.0);
    let mut padded = Prompts::of_ids(&decoder, &prompts);
    let [rows, longest, hidden] = padded.embeddings.dims();
    let mut noisy = padded.embeddings.zeros_like() + 1e3;
    for (row, prompt) in prompts.iter().enumerate() {
        let own = padded.embeddings.clone().slice([row..row + 1, 0..prompt.len(), 0..hidden]);
        noisy = noisy.slice_assign([row..row + 1, 0..prompt.len(), 0..hidden], own);
    }
    padded.embeddings =
        Tensor::cat(vec![noisy, Tensor::full([rows, 5, hidden], -1e3, &Device::flex())], 1);
    assert_eq!(padded.embeddings.dims()[1], longest + 5);
    let actual = generate(&decoder, None, padded, None, &options(1.0), &seeds(0..8)).unwrap();
    actual
        .iter()
        .zip(&expected)
        .for_each(|(actual, expected)| assert_same("under other padding", actual, expected));
}

#[test]
fn cache_gives_what_reading_everything_again_gives() {
    let (decoder, prompts) = (decoder(), prompts());
    for (prompt, completion) in prompts.iter().zip(written(&decoder, &prompts, &seeds(0..8), 0.0)) {
        let whole: Vec<u32> = [&prompt[..], &completion.ids].concat();
        let answer = prompt.len() - 1..whole.len() - 1;
        let hidden = decoder.forward(decoder.embed_rows(std::slice::from_ref(&whole)), None, None);
        // Every token is the most probable one after all that stands before it …
        let best = decoder
            .logits(hidden.clone(), None)
            .argmax(2)
            .into_data()
            .iter::<i64>()
            .collect::<Vec<_>>();
        let best: Vec<u32> = answer.clone().map(|at| best[at] as u32).collect();
        assert_eq!(best, completion.ids);
        // … and as probable as was said.
        let losses = token_losses(&decoder, hidden, &[whole], &[answer], None).into_data();
        for (loss, log_prob) in losses.iter::<f32>().zip(&completion.log_probs) {
            assert!((loss + log_prob).abs() < 1e-4, "{loss} and {log_prob}");
        }
    }
}

#[test]
fn prefix_that_is_read_once_is_the_prefix_before_every_prompt() {
    let (decoder, prompts) = (decoder(), prompts());
    // Two prefixes of different lengths, four rows each.
    let prefixes = [vec![9, 8, 7, 6, 5, 10, 11], vec![20, 21, 22]];
    let context = decoder.prefill(decoder.embed_rows(&prefixes), &[7, 3], None);
    let shared = Prompts {
        groups: (0..8).map(|row| row / 4).collect(),
        ..Prompts::of_ids(&decoder, &prompts)
    };
    let shared =
        generate(&decoder, Some(&context), shared, None, &options(1.0), &seeds(0..8)).unwrap();
    let whole: Vec<Vec<u32>> = prompts
        .iter()
        .enumerate()
        .map(|(row, prompt)| [&prefixes[row / 4][..], prompt].concat())
        .collect();
    let expected = written(&decoder, &whole, &seeds(0..8), 1.0);
    shared
        .iter()
        .zip(&expected)
        .for_each(|(actual, expected)| assert_same("behind a shared prefix", actual, expected));
}

#[test]
fn watcher_ends_a_row_or_all_of_them() {
    let (decoder, prompts) = (decoder(), prompts());
    let unstopped = GenerateOptions { stop: Vec::new(), ..options(1.0) };
    let run = |watch: &mut dyn FnMut(usize, u32) -> ControlFlow<(), NextAction>| {
        let rows = Prompts::of_ids(&decoder, &prompts);
        generate_watched(&decoder, None, rows, None, &unstopped, &seeds(0..8), |row, token| {
            watch(row, token.id)
        })
        .unwrap()
    };
    let mut heard = vec![Vec::new(); 8];
    let all = run(&mut |row, id| {
        heard[row].push(id);
        ControlFlow::Continue(NextAction::GoOn)
    });
    assert_eq!(heard, all.iter().map(|row| row.ids.clone()).collect::<Vec<_>>());
    assert!(all.iter().all(|row| row.ids.len() == 24 && !row.finished));

    let mut steps = 0;
    let without = run(&mut |row, _| {
        steps += usize::from(row == 2);
        ControlFlow::Continue(if row == 2 && steps == 5 {
            NextAction::EndRow
        } else {
            NextAction::GoOn
        })
    });
    assert_eq!((without[2].ids.as_slice(), without[2].finished), (&all[2].ids[..5], true));
    assert_eq!(without[3].ids, all[3].ids, "a row that ended disturbed its neighbour");

    let mut calls = 0;
    let cut = run(&mut |_, _| {
        calls += 1;
        if calls == 8 * 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(NextAction::GoOn)
        }
    });
    assert!(cut.iter().zip(&all).all(|(cut, all)| cut.ids == all.ids[..3]));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let decoder = decoder();
    let refused = |rows: &[Vec<u32>], n_seeds: usize, max_new_tokens: usize| {
        let options = GenerateOptions { max_new_tokens, ..options(0.0) };
        generate(
            &decoder,
            None,
            Prompts::of_ids(&decoder, rows),
            None,
            &options,
            &seeds(0..n_seeds),
        )
        .unwrap_err()
    };
    assert!(matches!(refused(&[vec![1], vec![]], 2, 4), LanguageError::EmptyPrompt { row: 1 }));
    assert!(matches!(
        refused(&[vec![1]], 2, 4),
        LanguageError::PromptShape { rows: 1, seeds: 2, .. }
    ));
    let limit = decoder.config().max_position_embeddings;
    assert!(matches!(
        refused(&[vec![1; limit]], 1, 2),
        LanguageError::ContextTooLong { row: 0, .. }
    ));
    let broken = Sampling { temperature: f32::NAN, ..Sampling::default() };
    let options = GenerateOptions { sampling: broken, ..options(0.0) };
    let refusal =
        generate(&decoder, None, Prompts::of_ids(&decoder, &[vec![1]]), None, &options, &[0])
            .unwrap_err();
    assert!(matches!(refusal, LanguageError::InvalidSampling { .. }), "{refusal}");
}
