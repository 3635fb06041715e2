//! Serves models over HTTP, with a page to try them in a browser.
//!
//! ```sh
//! talking-points serve --port 8080
//! ```

use std::{
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use tp_serve::{ServeConfig, ServedModel, Server, listen};

use crate::args::{BUNDLED_MODEL, DeviceArgs, WeightsArgs};

/// Serves models over HTTP, with a page to try them in a browser.
///
/// Prints one line with the address when it is ready. Ctrl-C and SIGTERM end it after the requests
/// that are under way. There are no accounts and no TLS: put a proxy before it if others can reach
/// the port.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model folder; NAME=DIR gives it a name by which requests choose it, else it has the
    /// folder's. May be given many times; the first one is the default.
    #[arg(long = "model", value_name = "[NAME=]DIR", default_value = BUNDLED_MODEL)]
    models: Vec<NamedFolder>,
    /// The address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The maximum size of a request's body, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = mib(ServeConfig::default().max_body_bytes))]
    max_body: usize,
    /// The maximum number of pixels of an image, in millions.
    #[arg(long, value_name = "MILLIONS", default_value_t = ServeConfig::default().max_pixels / 1_000_000)]
    max_pixels: u64,
    /// The maximum number of points of a request.
    #[arg(long, value_name = "N", default_value_t = ServeConfig::default().max_points)]
    max_points: usize,
    /// The maximum number of texts of a request.
    #[arg(long, value_name = "N", default_value_t = ServeConfig::default().max_texts)]
    max_texts: usize,
    /// The maximum number of characters of a text.
    #[arg(long, value_name = "N", default_value_t = ServeConfig::default().max_text_chars)]
    max_text_chars: usize,
    /// The time for a request, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400), default_value_t = ServeConfig::default().request_time.as_secs())]
    request_time: u64,
    /// The time for requests that are under way when the server is told to end, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400), default_value_t = ServeConfig::default().shutdown_time.as_secs())]
    shutdown_time: u64,
    /// The maximum number of requests that wait for a model; further ones are refused.
    #[arg(long, value_name = "N", default_value_t = ServeConfig::default().max_queue)]
    max_queue: usize,
    /// The maximum number of open connections.
    #[arg(long, value_name = "N", default_value_t = ServeConfig::default().max_connections)]
    max_connections: usize,
    /// The memory for bodies and decoded images of requests, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = mib(ServeConfig::default().max_request_memory))]
    request_memory: usize,
    /// The memory for encoded images that are kept for later requests, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = mib(ServeConfig::default().cache_bytes))]
    cache: usize,
    /// The folder of Label Studio's files (its `media`), for tasks whose images are paths like
    /// /data/upload/1/photo.jpg.
    #[arg(long, value_name = "DIR")]
    label_studio_files: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    weights: WeightsArgs,
}

const fn mib(bytes: usize) -> usize {
    bytes >> 20
}

/// A model folder and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NamedFolder {
    name: String,
    folder: PathBuf,
}

impl FromStr for NamedFolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, folder) = match text.split_once('=') {
            Some((name, folder)) => (name.to_owned(), folder),
            None => {
                let name = Path::new(text).file_name().map(|name| name.to_string_lossy());
                (name.unwrap_or_default().into_owned(), text)
            }
        };
        if name.is_empty() || folder.is_empty() {
            return Err("write a folder, or NAME=DIR".to_owned());
        }
        Ok(Self { name, folder: folder.into() })
    }
}

impl Args {
    fn config(&self) -> ServeConfig {
        ServeConfig {
            max_body_bytes: self.max_body.saturating_mul(1 << 20),
            max_pixels: self.max_pixels.saturating_mul(1_000_000),
            max_points: self.max_points,
            max_texts: self.max_texts,
            max_text_chars: self.max_text_chars,
            max_queue: self.max_queue,
            max_connections: self.max_connections,
            request_time: Duration::from_secs(self.request_time),
            shutdown_time: Duration::from_secs(self.shutdown_time),
            max_request_memory: self.request_memory.saturating_mul(1 << 20),
            cache_bytes: self.cache.saturating_mul(1 << 20),
            label_studio_files: self.label_studio_files.clone(),
            ..ServeConfig::default()
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let address = match args.host.contains(':') {
        true => format!("[{}]:{}", args.host.trim_matches(['[', ']']), args.port), // IPv6
        false => format!("{}:{}", args.host, args.port),
    };
    let listener = listen(address)?; // before models are loaded
    let device = args.device.open()?;
    let load = |NamedFolder { name, folder }: &NamedFolder| -> Result<_, Box<dyn Error>> {
        let models = args.weights.load(folder, &device)?;
        Ok(ServedModel { name: name.clone(), models })
    };
    let models = args.models.iter().map(load).collect::<Result<_, _>>()?;
    let server = Server::new(listener, models, args.config())?;
    writeln!(io::stdout(), "listening on http://{}", server.address())?;
    io::stdout().flush()?;
    Ok(server.run_until_signalled()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_has_the_name_of_its_folder_or_its_own() {
        let parsed = |text: &str| text.parse::<NamedFolder>();
        let named = |name: &str, folder: &str| {
            Ok(NamedFolder { name: name.to_owned(), folder: folder.into() })
        };
        assert_eq!(parsed("models/tiny"), named("tiny", "models/tiny"));
        assert_eq!(parsed("models/tiny/"), named("tiny", "models/tiny/"));
        assert_eq!(parsed("best=out/run=3"), named("best", "out/run=3"));
        for text in ["", "=models/tiny", "tiny=", "/"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
