//! The plan of a build, as people read it.

use tp_builder::Plan;

use super::printed::spent_text;

/// What a build would ask of its teachers, and what that costs.
pub(super) fn plan_text(plan: &Plan) -> String {
    let sides: Vec<String> = plan.sides.iter().map(|(side, n)| format!("{n} {side}")).collect();
    let mut lines = vec![format!(
        "{} images; points: {}",
        plan.images,
        if sides.is_empty() { "none".to_owned() } else { sides.join(", ") }
    )];
    for stage in &plan.stages {
        lines.push(format!(
            "{} by {}: {} known, {} to ask; {} to {} calls, {} to {} tokens, cost {:.4} to {:.4}",
            stage.role,
            stage.teacher,
            stage.known,
            stage.questions,
            stage.least.calls,
            stage.most.calls,
            stage.least.tokens(),
            stage.most.tokens(),
            stage.least.cost,
            stage.most.cost
        ));
    }
    lines.push(format!("in all at most: {}", spent_text(&plan.most)));
    lines.join("\n")
}
