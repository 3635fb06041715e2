//! The rule describer in the three roles of a [`Teacher`]: it says what the survey measured.

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
        // The sentence is the whole of what the rules make of the facts; those who change the rules
        // change it.
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
