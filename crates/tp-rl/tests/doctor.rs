//! Each link of the chain is broken once, and must be diagnosed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod table;

use table::{Fault, FirstWord, Points, Table, TablePolicy, config};
use tp_rl::{
    GrpoConfig, GrpoParts, Hit, Length, Link, LinkDiagnosis, Reward, RlError, StyleMonitor,
    Trainer, broken_at, examine,
};

fn findings(
    fault: Fault,
    judge: &FirstWord,
    reward: &Reward,
    learning_rate: f64,
) -> Vec<LinkDiagnosis> {
    let (policy, source, style) = (TablePolicy::new(fault), Points(5), StyleMonitor::default());
    let parts = GrpoParts { policy: &policy, judge, source: &source, reward, style: &style };
    let config = GrpoConfig { images_per_step: 5, ..config(20, learning_rate) };
    match Trainer::new(parts, config, Table::new()) {
        Ok(trainer) => examine(trainer, 20).unwrap(),
        Err(RlError::BrokenLink { link, evidence, .. }) => broken_at(link, &evidence),
        Err(error) => panic!("{error}"),
    }
}

fn length() -> Reward {
    Reward::nothing().plus(1.0, Length)
}

fn first_broken(findings: &[LinkDiagnosis]) -> Option<Link> {
    findings.iter().find(|finding| !finding.ok).map(|finding| finding.name)
}

#[test]
fn sound_chain_has_no_broken_link_and_the_length_rises() {
    let findings = findings(Fault::None, &FirstWord::default(), &length(), 0.1);
    assert_eq!(first_broken(&findings), None, "{findings:#?}");
    assert_eq!(findings.len(), Link::ALL.len());
}

#[test]
fn each_broken_link_is_the_one_that_is_named() {
    let judge = FirstWord::default();
    for (fault, link) in [
        (Fault::Detached, Link::Trainable),
        (Fault::OtherReference, Link::Reference),
        (Fault::Thaws, Link::Frozen),
        (Fault::LongMask, Link::Masks),
        (Fault::ShiftedMask, Link::Masks),
        (Fault::StaleSampler, Link::Sampler),
    ] {
        let findings = findings(fault, &judge, &length(), 0.1);
        assert_eq!(first_broken(&findings), Some(link), "{fault:?} {findings:#?}");
    }
    let trainable = FirstWord { n_trainable: 1, ..Default::default() };
    assert_eq!(
        first_broken(&findings(Fault::None, &trainable, &length(), 0.1)),
        Some(Link::Frozen)
    );
    // Every reward is 0.
    let flat = Reward::nothing().plus(1.0, Hit { threshold: 0.0 });
    assert_eq!(first_broken(&findings(Fault::None, &judge, &flat, 0.1)), Some(Link::Advantages));
    assert_eq!(first_broken(&findings(Fault::None, &judge, &length(), 0.0)), Some(Link::Update));
    // Weights change, but too little.
    assert_eq!(first_broken(&findings(Fault::None, &judge, &length(), 1e-6)), Some(Link::Reward));
}
