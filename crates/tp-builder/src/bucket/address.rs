//! Opens a bucket by its address, with credentials from the environment.

use std::{fmt, fs, path::Path, sync::Arc, time::Duration};

use object_store::{
    ClientConfigKey, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path as ObjectPath,
    prefix::PrefixStore,
};

use super::{signing::Signing, store::Store, transport::Connector};
use crate::BuildError;

/// At least one of these must be set. Otherwise `object_store` would look for credentials elsewhere
/// for minutes.
const CREDENTIALS: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
    "AWS_SKIP_SIGNATURE",
];

/// The shared storage of a distributed build: a prefix in an S3-compatible bucket, or a folder for
/// tests.
#[derive(Clone)]
pub struct Bucket {
    pub(super) store: Store,
    pub(super) upload_every: Duration,
}

impl Bucket {
    /// Opens `s3://name/prefix`, or `file:///absolute/path`, which is created if necessary.
    ///
    /// Endpoint, region and credentials come from the environment: `AWS_ENDPOINT`, `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ALLOW_HTTP` and the
    /// others that `object_store` supports. Nothing is sent yet. Later calls block, so the bucket
    /// must not be used on a thread that drives an asynchronous runtime.
    ///
    /// # Errors
    ///
    /// [`BuildError::BucketAddress`] for an invalid address, [`BuildError::Bucket`] for missing
    /// settings in the environment.
    pub fn open(url: &str) -> Result<Self, BuildError> {
        let store = match url.split_once("://") {
            Some(("s3", rest)) => on_s3(url, rest)?,
            Some(("file", path)) if Path::new(path).is_absolute() => {
                in_folder(url, Path::new(path))?
            }
            _ => return Err(BuildError::BucketAddress),
        };
        Ok(Self { store: Store::new(url, store)?, upload_every: Duration::from_secs(5) })
    }

    /// The upload interval, which is the amount of work that can be lost if a process is killed
    /// together with its disk. The default is five seconds.
    #[must_use]
    pub fn upload_every(mut self, pause: Duration) -> Self {
        self.upload_every = pause.max(Duration::from_millis(1));
        self
    }
}

/// Shows the address only, because the other fields contain credentials.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("url", &self.store.url()).finish_non_exhaustive()
    }
}

fn on_s3(url: &str, rest: &str) -> Result<Arc<dyn ObjectStore>, BuildError> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    // The server checks names more strictly; this check keeps keys out of addresses, which are
    // displayed.
    if name.is_empty()
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    {
        return Err(BuildError::BucketAddress);
    }
    let prefix =
        ObjectPath::parse(prefix.trim_matches('/')).map_err(|_| BuildError::BucketAddress)?;
    let refuse = |problem: String| BuildError::Bucket { url: url.to_owned(), problem };
    if !CREDENTIALS.iter().any(|name| std::env::var_os(name).is_some()) {
        return Err(refuse(
            "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
                .to_owned(),
        ));
    }
    let retry = RetryConfig {
        max_retries: 8,
        retry_timeout: Duration::from_secs(60),
        ..RetryConfig::default()
    };
    let builder = AmazonS3Builder::from_env().with_bucket_name(name).with_retry(retry);
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::Endpoint)
        .unwrap_or_else(|| "https://".to_owned());
    let allow_http =
        builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    if endpoint.starts_with("https://") && !cfg!(feature = "https") {
        return Err(refuse("https needs the cargo feature `https`".to_owned()));
    }
    if endpoint.starts_with("http://") && allow_http.as_deref() != Some("true") {
        return Err(refuse(
            "the endpoint is plain http; set AWS_ALLOW_HTTP=true if that is intended".to_owned(),
        ));
    }
    let store =
        builder.with_http_connector(Connector).with_crypto_provider(Arc::new(Signing)).build();
    Ok(Arc::new(PrefixStore::new(
        store.map_err(|error| refuse(super::store::one_line(&error)))?,
        prefix,
    )))
}

fn in_folder(url: &str, path: &Path) -> Result<Arc<dyn ObjectStore>, BuildError> {
    fs::create_dir_all(path)
        .map_err(|source| BuildError::Write { path: path.to_owned(), source })?;
    let store = LocalFileSystem::new_with_prefix(path);
    Ok(Arc::new(store.map_err(|error| BuildError::Bucket {
        url: url.to_owned(),
        problem: super::store::one_line(&error),
    })?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_none_are_refused_without_being_repeated() {
        for url in [
            "bucket",
            "s3://",
            "s3:///prefix",
            "s3://KEY:SECRET@bucket/x",
            "file://relative",
            "gs://bucket",
            "s3://b/a/../c",
        ] {
            let message = Bucket::open(url).unwrap_err().to_string();
            assert!(
                message.contains("s3://name/prefix") && !message.contains("SECRET"),
                "{url}: {message}"
            );
        }
    }

    #[test]
    fn folder_stands_for_a_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}/a/b", folder.path().display());
        assert_eq!(
            format!("{:?}", Bucket::open(&url).unwrap()),
            format!("Bucket {{ url: {url:?}, .. }}")
        );
        assert!(folder.path().join("a/b").is_dir());
    }
}
