//! The configuration of teachers: models, endpoints, prompts and limits, in a TOML file without
//! keys.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use tp_data::parse_toml;

use super::prompt::{PLACEHOLDERS, unknown_placeholder};
use crate::{BuildError, Role, config_file};

/// The teachers of a build. Missing settings are those of the paper's configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeachersConfig {
    /// Endpoints by name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, EndpointConfig>,
    /// The teacher of each role; a role that is not listed is played by the rules.
    #[serde(default)]
    pub roles: BTreeMap<Role, RoleConfig>,
    /// Token prices, by model.
    #[serde(default)]
    pub prices: BTreeMap<String, Price>,
    /// Retries and timeouts.
    #[serde(default)]
    pub retry: RetryConfig,
}

/// An OpenAI-compatible endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// The base URL, e.g. `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The environment variable that contains the key; local servers usually need none.
    pub api_key_env: Option<String>,
    /// The maximum number of concurrent questions. It is reduced while the server reports that it
    /// is busy.
    #[serde(default = "eight")]
    pub max_concurrent: usize,
}

/// The teacher of a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    /// The name of the model on its server, or `rules`.
    pub model: String,
    /// The endpoints that serve it; all if the list is empty. They are not part of an answer's key,
    /// so a server may move.
    #[serde(default, skip_serializing)]
    pub endpoints: Vec<String>,
    /// The system message; the paper's configuration has one for every role.
    pub system: Option<String>,
    /// The prompt, with placeholders.
    pub prompt: Option<String>,
    /// Sampling temperature; 0 is greedy.
    #[serde(default)]
    pub temperature: f64,
    /// The maximum number of tokens of an answer.
    #[serde(default = "four_hundred")]
    pub max_tokens: u32,
    /// How the format of an answer is requested.
    #[serde(default)]
    pub structured: Structured,
    /// The maximum number of times that a malformed answer is asked for again.
    #[serde(default = "two")]
    pub max_repairs: u32,
    /// The images shown to the teacher.
    #[serde(default)]
    pub image: ImageConfig,
}

/// How the format of an answer is requested; it is always validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structured {
    /// `response_format` with a JSON schema: vLLM, SGLang, llama.cpp, Ollama, hosted servers.
    #[default]
    JsonSchema,
    /// `response_format` with `json_object`.
    JsonObject,
    /// By the prompt only.
    Prompt,
}

/// The images shown to a teacher.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// The longest side of the whole image, in pixels.
    pub max_side: u32,
    /// The maximum file size, in bytes, before encoding as a data URL.
    pub max_bytes: usize,
    /// The side of the crop around the point, relative to the image's longer side.
    pub crop: f64,
    /// The standard deviation of the Gaussian on the crop, relative to the crop's side.
    pub sigma: f64,
    /// The maximum number of tokens that the server may count for an image; used for estimates.
    pub max_tokens: u64,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self { max_side: 672, max_bytes: 1 << 20, crop: 0.25, sigma: 0.25, max_tokens: 2_880 }
    }
}

/// The price of a model, per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input.
    pub input_per_million: f64,
    /// Output.
    pub output_per_million: f64,
}

/// When a question without a response is sent again. This is the only place in which anything is
/// retried.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// The maximum number of times that a question is sent, including the first; repairs are
    /// counted separately.
    pub max_tries: u32,
    /// The wait before the second try. It doubles with every further try, and a random share of up
    /// to half is subtracted.
    pub first_wait_ms: u64,
    /// The maximum wait, including one requested by the server.
    pub max_wait_secs: u64,
    /// The timeout for connecting.
    pub connect_timeout_secs: f64,
    /// The timeout from the request to the last byte of the response.
    pub answer_timeout_secs: f64,
    /// The maximum length of a response, in bytes.
    pub max_answer_bytes: u64,
    /// The number of consecutive failures after which the run stops.
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

/// The paper's teachers, as a file to copy and edit.
pub const PAPER_TEACHERS: &str = include_str!("paper_teachers.toml");

impl TeachersConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// [`BuildError::Data`] if it cannot be read, and [`BuildError::Config`] with the invalid line
    /// or setting.
    pub fn from_toml(path: &Path) -> Result<Self, BuildError> {
        let config: Self = config_file::read(path)?;
        config.completed().map_err(|problem| BuildError::Config { path: path.to_owned(), problem })
    }

    /// The paper's configuration: OMG-LLaVA for the context, LLaVA-v1.6-34B for the neighborhood,
    /// Llama 3.3 for merging. The paper publishes the models but not the prompts; these are ours.
    #[must_use]
    pub fn paper() -> Self {
        parse_toml::<Self>(PAPER_TEACHERS)
            .ok()
            .and_then(|config| config.completed().ok())
            .expect("the file is tested")
    }

    /// Parses a configuration.
    ///
    /// # Errors
    ///
    /// The invalid line or setting.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_toml::<Self>(text)?.completed()
    }

    /// Completes the prompts, and validates the settings.
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
        // A key in the address would appear in every log.
        if rest.contains('@') || self.url.contains('?') {
            return Err("url must not contain a user name, password or query; the key comes from the environment, by api_key_env".to_owned());
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

/// The system message and the prompt of the paper's configuration.
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
