//! Blocking calls to a bucket. This is the only place with asynchronous code.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, sync::Arc};

use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    path::Path as ObjectPath,
};
use tokio::runtime::{Builder, Runtime};

use crate::BuildError;

/// Larger files are uploaded in parts of this many bytes; S3 requires at least 5 MiB and accepts
/// 10,000 parts.
const PART_BYTES: usize = 16 << 20;

/// The prefix of a build in a bucket.
#[derive(Clone)]
pub(super) struct Store {
    url: Arc<str>,
    objects: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
}

/// The result of creating an object that must not be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Created {
    /// It exists with these bytes.
    Ours,
    /// It exists with other bytes.
    Taken,
}

impl Store {
    pub(super) fn new(url: &str, objects: Arc<dyn ObjectStore>) -> Result<Self, BuildError> {
        // Requests block the calling thread; the runtime only waits between two tries.
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| BuildError::Bucket {
            url: url.to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self { url: url.into(), objects, runtime: Arc::new(runtime) })
    }

    /// The address as given by the user.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A fatal error about an object.
    pub(super) fn trouble(&self, name: &str, problem: impl Into<String>) -> BuildError {
        BuildError::Bucket {
            url: format!("{}/{name}", self.url.trim_end_matches('/')),
            problem: problem.into(),
        }
    }

    /// Creates an object unless it exists.
    pub(super) fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Created, BuildError> {
        let payload = PutPayload::from(bytes.clone());
        let path = self.path(name)?;
        match self.runtime.block_on(self.objects.put_opts(&path, payload, PutMode::Create.into())) {
            Ok(_) => Ok(Created::Ours),
            // A request that was repeated because its response was lost finds its own object.
            Err(Error::AlreadyExists { .. }) => {
                match self.get(name)? {
                    Some(found) if found == bytes => Ok(Created::Ours),
                    Some(_) => Ok(Created::Taken),
                    None => Err(self
                        .trouble(name, "it was created and deleted during the write; run again")),
                }
            }
            Err(error) => Err(self.trouble(name, one_line(&error))),
        }
    }

    /// The bytes of an object; `None` if it does not exist.
    pub(super) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BuildError> {
        let path = self.path(name)?;
        let got = self.runtime.block_on(async { self.objects.get(&path).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.trouble(name, one_line(&error))),
        }
    }

    /// The names in a folder with their sizes in bytes, not recursive.
    pub(super) fn list(&self, folder: &str) -> Result<BTreeMap<String, u64>, BuildError> {
        let path = self.path(folder)?;
        let listed = self.runtime.block_on(self.objects.list_with_delimiter(Some(&path)));
        let listed = listed.map_err(|error| self.trouble(folder, one_line(&error)))?;
        let named = listed
            .objects
            .into_iter()
            .filter_map(|object| Some((object.location.filename()?.to_owned(), object.size)));
        Ok(named.collect())
    }

    /// Deletes an object if it exists.
    pub(super) fn delete(&self, name: &str) -> Result<(), BuildError> {
        match self.runtime.block_on(self.objects.delete(&self.path(name)?)) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.trouble(name, one_line(&error))),
        }
    }

    /// Uploads a file, replacing an object of the same name.
    pub(super) fn put_file(&self, name: &str, file: &Path) -> Result<(), BuildError> {
        let unreadable = |source| BuildError::Read { path: file.to_owned(), source };
        let mut opened = File::open(file).map_err(unreadable)?;
        let mut next = || {
            let mut part = Vec::new();
            opened
                .by_ref()
                .take(PART_BYTES as u64)
                .read_to_end(&mut part)
                .map(|_| part)
                .map_err(unreadable)
        };
        let first = next()?;
        let path = self.path(name)?;
        if first.len() < PART_BYTES {
            let put = self.runtime.block_on(self.objects.put(&path, first.into()));
            return put.map(drop).map_err(|error| self.trouble(name, one_line(&error)));
        }
        let failed = |error: Error| self.trouble(name, one_line(&error));
        let mut upload =
            self.runtime.block_on(self.objects.put_multipart(&path)).map_err(failed)?;
        let send_all = || {
            let mut part = first;
            while !part.is_empty() {
                self.runtime.block_on(upload.put_part(part.into())).map_err(failed)?;
                part = next()?;
            }
            self.runtime.block_on(upload.complete()).map(drop).map_err(failed)
        };
        send_all().inspect_err(|_| {
            // The parts of an aborted upload are billed to the owner; they remain only if this
            // fails as well.
            let _ = self.runtime.block_on(upload.abort());
        })
    }

    fn path(&self, name: &str) -> Result<ObjectPath, BuildError> {
        ObjectPath::parse(name).map_err(|error| self.trouble("", error.to_string()))
    }
}

/// An error in one line. A server's message may repeat the key of the request, so only its error
/// code is shown.
pub(super) fn one_line(error: &Error) -> String {
    let text = error.to_string();
    let own_words = ["status code: ", "error response: "].iter().find_map(|mark| {
        let start = text.find(mark)? + mark.len();
        // A status is followed by its name and a colon.
        Some(if mark.starts_with("error") { start } else { start + text[start..].find(':')? })
    });
    let ours = text[..own_words.unwrap_or(text.len())]
        .trim_end_matches([' ', ':'])
        .replace(['\n', '\r'], " ");
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(code, _)| code);
    let code = code
        .filter(|code| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let ours: String = ours.chars().take(400).collect();
    code.map_or(ours.clone(), |code| format!("{ours}: {code}"))
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn store() -> Store {
        Store::new("memory", Arc::new(InMemory::new())).unwrap()
    }

    #[test]
    fn nothing_is_overwritten_and_a_repeated_request_meets_itself() {
        let store = store();
        assert_eq!(store.create("work/a", b"one".to_vec()).unwrap(), Created::Ours);
        assert_eq!(store.create("work/a", b"one".to_vec()).unwrap(), Created::Ours);
        assert_eq!(store.create("work/a", b"two".to_vec()).unwrap(), Created::Taken);
        assert_eq!(store.get("work/a").unwrap().unwrap(), b"one");
        assert_eq!(store.list("work").unwrap(), BTreeMap::from([("a".to_owned(), 3)]));
        store.delete("work/a").unwrap();
        store.delete("work/a").unwrap();
        assert!(store.get("work/a").unwrap().is_none() && store.list("work").unwrap().is_empty());
    }

    #[test]
    fn large_file_goes_up_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..2 * PART_BYTES + 5).map(|at| (at % 251) as u8).collect();
        let path = folder.path().join("a");
        let store = store();
        for n in [0, 5, PART_BYTES, bytes.len()] {
            std::fs::write(&path, &bytes[..n]).unwrap();
            store.put_file("data/a", &path).unwrap();
            assert!(store.get("data/a").unwrap().unwrap() == bytes[..n], "{n}");
        }
    }

    #[test]
    fn parts_arrive_and_conditions_hold_on_a_server() {
        let Ok(url) = std::env::var("TP_TEST_BUCKET") else {
            println!(
                "skipped: TP_TEST_BUCKET is not set; tests/builder/bucket_server.py starts a server and sets it"
            );
            return;
        };
        let store = crate::Bucket::open(&url).unwrap().store;
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..PART_BYTES + 5).map(|at| (at % 251) as u8).collect();
        std::fs::write(folder.path().join("a"), &bytes).unwrap();
        store.put_file("test/a", &folder.path().join("a")).unwrap();
        assert!(store.get("test/a").unwrap().unwrap() == bytes);
        for (text, created) in
            [("one", Created::Ours), ("one", Created::Ours), ("two", Created::Taken)]
        {
            assert_eq!(store.create("test/b", text.into()).unwrap(), created);
        }
        assert_eq!(
            store.list("test").unwrap().into_values().collect::<Vec<_>>(),
            [bytes.len() as u64, 3]
        );
        ["test/a", "test/b", "test/c"].iter().for_each(|name| store.delete(name).unwrap());
        assert!(store.list("test").unwrap().is_empty() && store.get("test/a").unwrap().is_none());
    }

    #[test]
    fn words_of_a_server_are_cut_down_to_their_code() {
        let told = |said: &str| one_line(&Error::Generic { store: "S3", source: said.into() });
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>";
        for (said, text) in [
            (
                format!("PUT x - Server returned non-2xx status code: 403 Forbidden: {xml}"),
                "Generic S3 error: PUT x - Server returned non-2xx status code: 403 Forbidden: InvalidAccessKeyId",
            ),
            (
                "Server returned non-2xx status code: 401 Unauthorized: no AKIASECRET here"
                    .to_owned(),
                "Generic S3 error: Server returned non-2xx status code: 401 Unauthorized",
            ),
            (
                format!("Server returned error response: {xml}"),
                "Generic S3 error: Server returned error response: InvalidAccessKeyId",
            ),
            (
                "HTTP error: io: Connection refused".to_owned(),
                "Generic S3 error: HTTP error: io: Connection refused",
            ),
        ] {
            assert_eq!(told(&said), text);
        }
    }
}
