//! The rule-based describer as a [`Teacher`] in all three roles; its answers are the measured
//! facts.

use crate::{
    Answer, Answered, ContextAnswer, LocalAnswer, OrganiserAnswer, Question, Role, RunLimits,
    SurveyedPoint, Teacher, TeacherError, Usage,
};
use tp_data::{RulesTeacher, in_image};

impl Teacher for RulesTeacher {
    fn name(&self, _: Role) -> String {
        "rules".to_owned()
    }

    fn asked(&self, question: &Question<'_>) -> String {
        // The sentence contains everything that the rules derive from the facts, so a change of the
        // rules changes it.
        format!(
            "rules: {:?} {}",
            question.point.style,
            question.point.sentence.as_deref().unwrap_or_default()
        )
    }

    fn is_free(&self, _: Role) -> bool {
        true
    }

    fn can_describe(&self, role: Role, point: &SurveyedPoint) -> bool {
        role != Role::Organiser || point.sentence.is_some()
    }

    fn ask(&self, question: &Question<'_>, _: &RunLimits) -> Result<Answered, TeacherError> {
        let record = &question.point.record;
        let answer = match question.role {
            Role::Context => Answer::Context(ContextAnswer {
                object: record.category.clone(),
                part: record.part.clone().unwrap_or_default(),
                context: in_image(record.object_cell).to_owned(),
            }),
            Role::Local => Answer::Local(LocalAnswer {
                colour: record.colour.clone(),
                texture: record.texture.clone(),
                shape: record.shape.clone(),
                detail: String::new(),
            }),
            Role::Organiser => {
                let description = question.point.sentence.clone().ok_or(TeacherError::Ambiguous)?;
                Answer::Organiser(OrganiserAnswer { description, layers: None })
            }
        };
        Ok(Answered { answer, usage: Usage::default() })
    }
}
