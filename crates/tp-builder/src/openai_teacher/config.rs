//! Which models are asked, where, with which prompts and within which bounds: a TOML file, without
//! a single key in it.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use tp_data::parse_toml;

use super::prompt::{PLACEHOLDERS, unknown_placeholder};
use crate::{BuildError, Role, config_file};

/// The teachers of a build. What a file does not say is as in the paper's configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeachersConfig {
    /// Servers by name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, EndpointConfig>,
    /// Who plays which role; a role that is not named is played by the rules.
    #[serde(default)]
    pub roles: BTreeMap<Role, RoleConfig>,
    /// What tokens cost, by model.
    #[serde(default)]
    pub prices: BTreeMap<String, Price>,
    /// When something is tried again.
    #[serde(default)]
    pub retry: RetryConfig,
}

/// An OpenAI-compatible server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// Its base, as in `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The environment variable that holds its key; servers of one's own mostly need none.
    pub api_key_env: Option<String>,
    /// The most questions under way at once; fewer are, while the server says that it has enough.
    #[serde(default = "eight")]
    pub max_concurrent: usize,
}

/// How one role is played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    /// The model's name on its server, or `rules`.
    pub model: String,
    /// The endpoints that have it; all if none is named. They do not decide an answer: a server may
    /// move.
    #[serde(default, skip_serializing)]
    pub endpoints: Vec<String>,
    /// What the teacher is; the paper's configuration has one for every role.
    pub system: Option<String>,
    /// The question, with placeholders.
    pub prompt: Option<String>,
    /// 0 asks for the most probable answer.
    #[serde(default)]
    pub temperature: f64,
    /// The longest answer.
    #[serde(default = "four_hundred")]
    pub max_tokens: u32,
    /// How the shape of an answer is asked for.
    #[serde(default)]
    pub structured: Structured,
    /// How an answer that does not have the shape is asked for again, and how often at most.
    #[serde(default = "two")]
    pub max_repairs: u32,
    /// What the teacher is shown.
    #[serde(default)]
    pub image: ImageConfig,
}

/// How the shape of an answer is asked for; it is checked in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structured {
    /// `response_format` with a JSON schema: vLLM, SGLang, llama.cpp, Ollama, hosted servers.
    #[default]
    JsonSchema,
    /// `response_format` with `json_object`.
    JsonObject,
    /// By the prompt alone.
    Prompt,
}

/// The pictures that a teacher is shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// The longest side of the whole image, in pixels.
    pub max_side: u32,
    /// The largest file, in bytes, before it becomes a data URL.
    pub max_bytes: usize,
    /// The side of the crop around the point, as a share of the image's longer side.
    pub crop: f64,
    /// The standard deviation of the Gaussian on the crop, as a share of the crop's side.
    pub sigma: f64,
    /// For the bounds of the plan: how many tokens the server may count for a picture.
    pub max_tokens: u64,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self { max_side: 672, max_bytes: 1 << 20, crop: 0.25, sigma: 0.25, max_tokens: 2_880 }
    }
}

/// What a model costs, for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Sent.
    pub input_per_million: f64,
    /// Received.
    pub output_per_million: f64,
}

/// When a question is sent again that got no answer. This is the only place in which anything is
/// repeated.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// The most times that a question is sent, the first included; repairs have a count of their
    /// own.
    pub max_tries: u32,
    /// Before the second try; it doubles with every further one, and a random half of it is left
    /// out.
    pub first_wait_ms: u64,
    /// The longest wait, and the longest that a server may ask for and still be waited for.
    pub max_wait_secs: u64,
    /// To reach the server.
    pub connect_timeout_secs: f64,
    /// From the question to the last byte of the answer.
    pub answer_timeout_secs: f64,
    /// The longest answer that is read, in bytes.
    pub max_answer_bytes: u64,
    /// After so many failed questions without an answer between them the run stops.
    pub max_failures_in_row: usize,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_tries: 6,
            first_wait_ms: 500,
            max_wait_secs: 60,
            connect_timeout_secs: 10.0,
            answer_timeout_secs: 120.0,
            max_answer_bytes: 1 << 20,
            max_failures_in_row: 50,
        }
    }
}

fn eight() -> usize {
    8
}

fn four_hundred() -> u32 {
    400
}

fn two() -> u32 {
    2
}

/// The paper's teachers, as a file that can be copied and changed.
pub const PAPER_TEACHERS: &str = include_str!("paper_teachers.toml");

impl TeachersConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// [`BuildError::Data`] if it cannot be read, and [`BuildError::Config`] with the line
    /// or the setting that is wrong.
    pub fn from_toml(path: &Path) -> Result<Self, BuildError> {
        let config: Self = config_file::read(path)?;
        config.completed().map_err(|problem| BuildError::Config { path: path.to_owned(), problem })
    }

    /// The paper's: OMG-LLaVA for the context, LLaVA-v1.6-34B for the neighbourhood, Llama 3.3 to
    /// merge. The paper publishes the models and not the prompts; those are ours.
    #[must_use]
    pub fn paper() -> Self {
        parse_toml::<Self>(PAPER_TEACHERS)
            .ok()
            .and_then(|config| config.completed().ok())
            .expect("the file is tested")
    }

    /// Reads a configuration from text.
    ///
    /// # Errors
    ///
    /// The line or the setting that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_toml::<Self>(text)?.completed()
    }

    /// Fills in the prompts, and refuses what cannot work.
    fn completed(mut self) -> Result<Self, String> {
        let names: Vec<String> = self.endpoints.keys().cloned().collect();
        for (name, endpoint) in &self.endpoints {
            endpoint.checked().map_err(|problem| format!("endpoints.{name}: {problem}"))?;
        }
        if self.retry.max_tries == 0
            || !is_above_zero(self.retry.answer_timeout_secs)
            || !is_above_zero(self.retry.connect_timeout_secs)
        {
            return Err("retry: max_tries and the timeouts must be above 0".to_owned());
        }
        for (role, config) in self.roles.iter_mut().filter(|(_, config)| config.model != "rules") {
            let refuse = |problem: String| Err(format!("roles.{role}: {problem}"));
            if config.endpoints.is_empty() {
                config.endpoints.clone_from(&names);
            }
            if let Some(unknown) = config.endpoints.iter().find(|name| !names.contains(name)) {
                return refuse(format!("there is no endpoint `{unknown}`; there are {names:?}"));
            }
            if config.endpoints.is_empty() {
                return refuse("it has no endpoint; add [endpoints.NAME] with its url".to_owned());
            }
            let (system, prompt) = paper_prompts(*role);
            config.system.get_or_insert(system);
            let prompt = config.prompt.get_or_insert(prompt);
            if let Some(unknown) = unknown_placeholder(prompt) {
                return refuse(format!(
                    "prompt has an unknown placeholder {{{unknown}}}; there are {}",
                    PLACEHOLDERS.join(", ")
                ));
            }
            let ImageConfig { max_side, crop, sigma, .. } = config.image;
            if max_side < 16 || !(crop > 0.0 && crop <= 1.0) || !is_above_zero(sigma) {
                return refuse(
                    "image: max_side is at least 16, crop in (0, 1] and sigma above 0".to_owned(),
                );
            }
            if config.max_tokens == 0 || !(0.0..=2.0).contains(&config.temperature) {
                return refuse("max_tokens is above 0 and temperature in [0, 2]".to_owned());
            }
        }
        let bad_price =
            |price: &Price| !(price.input_per_million >= 0.0 && price.output_per_million >= 0.0);
        if let Some((model, _)) = self.prices.iter().find(|(_, price)| bad_price(price)) {
            return Err(format!("prices.{model}: a price is 0 or more"));
        }
        Ok(self)
    }
}

fn is_above_zero(number: f64) -> bool {
    number > 0.0
}

impl EndpointConfig {
    fn checked(&self) -> Result<(), String> {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return Err("url must begin with http:// or https://".to_owned());
        };
        // A key in the address would stand in every log.
        if rest.contains('@') || self.url.contains('?') {
            return Err("url must hold no name, password or query; a key comes from the environment, by api_key_env".to_owned());
        }
        if self.max_concurrent == 0 {
            return Err("max_concurrent must be above 0".to_owned());
        }
        match scheme {
            "http" => Ok(()),
            "https" if cfg!(feature = "https") => Ok(()),
            "https" => Err("https needs the cargo feature `https`".to_owned()),
            _ => Err("url must begin with http:// or https://".to_owned()),
        }
    }
}

/// System text and prompt of the paper's configuration.
fn paper_prompts(role: Role) -> (String, String) {
    let config: TeachersConfig = parse_toml(PAPER_TEACHERS).expect("the file is tested");
    let of_role = config.roles.get(&role);
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    (
        text(of_role.and_then(|role| role.system.as_ref())),
        text(of_role.and_then(|role| role.prompt.as_ref())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_has_its_three_models() {
        let paper = TeachersConfig::paper();
        let models: Vec<&str> = paper.roles.values().map(|role| role.model.as_str()).collect();
        assert_eq!(models, ["omg-llava", "llava-v1.6-34b", "llama3.3"]);
        assert!(paper.roles.values().all(|role| role.system.is_some() && role.prompt.is_some()));
    }

    #[test]
    fn short_file_takes_the_prompts_of_the_paper() {
        let config = TeachersConfig::parse(
            "[endpoints.a]\nurl = \"http://127.0.0.1:1/v1\"\n[roles.organiser]\nmodel = \"m\"\n",
        )
        .unwrap();
        let organiser = &config.roles[&Role::Organiser];
        assert_eq!(organiser.endpoints, ["a"]);
        assert_eq!(organiser.prompt, TeachersConfig::paper().roles[&Role::Organiser].prompt);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let endpoint = "[endpoints.a]\nurl = \"http://h/v1\"\n";
        for (text, part) in [
            (
                "[endpoints.a]\nurl = \"http://u:secret@h/v1\"\n".to_owned(),
                "comes from the environment",
            ),
            ("[endpoints.a]\nurl = \"ftp://h\"\n".to_owned(), "http://"),
            (
                "[endpoints.a]\nurl = \"http://h\"\napi_key = \"sk-1\"\n".to_owned(),
                "line 3: unknown field `api_key`",
            ),
            ("[roles.local]\nmodel = \"m\"\n".to_owned(), "no endpoint"),
            (
                format!("{endpoint}[roles.local]\nmodel = \"m\"\nendpoints = [\"b\"]\n"),
                "no endpoint `b`",
            ),
            (
                format!("{endpoint}[roles.local]\nmodel = \"m\"\nprompt = \"{{color}}\"\n"),
                "{color}",
            ),
            (format!("{endpoint}[roles.poet]\nmodel = \"m\"\n"), "unknown variant `poet`"),
            (
                format!(
                    "{endpoint}[prices.m]\ninput_per_million = -1.0\noutput_per_million = 0.0\n"
                ),
                "prices.m",
            ),
        ] {
            let problem = TeachersConfig::parse(&text).unwrap_err();
            assert!(problem.contains(part) && !problem.contains("secret"), "{problem}");
        }
    }
}
