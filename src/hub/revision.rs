//! From a reference to a commit, and to the files that the commit has.

use serde_json::{Map, Value, json};

use super::cache::{Cache, is_commit, is_hash};
use super::client::Client;
use super::error::HubError;
use super::reference::{HubReference, is_inside};

/// A dataset with more files is an error.
const FILES_MAX: usize = 1_000_000;
/// The version of the list of files in the cache.
const TREE_VERSION: u64 = 1;

/// A commit of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRevision {
    /// The commit: 40 hexadecimal digits.
    pub commit: String,
    /// Its files.
    pub files: Vec<HubFile>,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// Its path in the dataset.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The hash that names its content: SHA-256 for a large file, git's own for a small one.
    pub hash: String,
}

impl HubFile {
    /// Returns the SHA-256 of the content, where the Hub tells it.
    pub fn sha256(&self) -> Option<&str> {
        (self.hash.len() == 64).then_some(self.hash.as_str())
    }
}

/// Resolves a reference. A commit whose files are listed in the cache is not asked for.
pub async fn resolve(client: &Client<'_>, cache: &Cache, reference: &HubReference) -> Result<HubRevision, HubError> {
    let revision = reference.revision_or_main();
    let commit = if is_commit(revision) {
        revision.to_owned()
    } else if client.is_offline() {
        cache.commit_of(revision).ok_or_else(|| not_cached(reference))?
    } else {
        commit_of(client, reference, revision).await?
    };
    if let Some(files) = cache.tree(&commit).and_then(|tree| from_tree(&tree)) {
        cache.note_commit(revision, &commit)?;
        return Ok(HubRevision { commit, files });
    }
    if client.is_offline() {
        return Err(not_cached(reference));
    }
    let (files, tree) = list(client, reference, &commit).await?;
    cache.keep_tree(&commit, &tree)?;
    cache.note_commit(revision, &commit)?;
    Ok(HubRevision { commit, files })
}

fn not_cached(reference: &HubReference) -> HubError {
    HubError::refused(
        format!("{reference} is not in the cache, and HF_HUB_OFFLINE forbids to ask the Hub"),
        "unset HF_HUB_OFFLINE, or name the commit that was downloaded with @COMMIT",
    )
}

async fn commit_of(client: &Client<'_>, reference: &HubReference, revision: &str) -> Result<String, HubError> {
    let url = client.url(["api", "datasets", &reference.owner, &reference.name, "revision", revision]);
    let (found, _) = client.json(url).await?;
    let commit = found["sha"].as_str().filter(|commit| is_commit(commit));
    commit.map(str::to_owned).ok_or_else(|| HubError::unavailable("the Hub names no commit of the dataset"))
}

async fn list(client: &Client<'_>, reference: &HubReference, commit: &str) -> Result<(Vec<HubFile>, Value), HubError> {
    let mut url = client.url(["api", "datasets", &reference.owner, &reference.name, "tree", commit]);
    url.set_query(Some("recursive=true&expand=false"));
    let (mut next, mut files) = (Some(url), Map::new());
    while let Some(url) = next {
        let (page, following) = client.json(url).await?;
        let Value::Array(entries) = page else { return Err(unclear("the list of files is no list")) };
        let before = files.len();
        for entry in entries.iter().filter(|entry| entry["type"] == "file") {
            let path = entry["path"].as_str().ok_or_else(|| unclear("a file without a path"))?;
            files.insert(path.to_owned(), kept(entry));
        }
        if files.len() > FILES_MAX {
            let hint = "name one file of it, as hf://datasets/OWNER/NAME/PATH";
            return Err(HubError::refused(format!("{reference} has more than {FILES_MAX} files"), hint));
        }
        // A page without a new file would be the last that is worth asking for.
        next = following.filter(|_| files.len() > before || !entries.is_empty());
    }
    let tree = json!({"format_version": TREE_VERSION, "files": files});
    let files = from_tree(&tree).ok_or_else(|| unclear("a file with an odd name, length or hash"))?;
    Ok((files, tree))
}

fn unclear(what: &str) -> HubError {
    HubError::unavailable(format!("the Hub's list of the files cannot be used: {what}"))
}

/// Returns an entry of the Hub's list as the list in the cache has it.
fn kept(entry: &Value) -> Value {
    let mut kept = json!({"size": entry["size"], "blob_id": entry["oid"]});
    if entry["lfs"].is_object() {
        kept["lfs_sha256"] = entry["lfs"]["oid"].clone();
        kept["lfs_size"] = entry["lfs"]["size"].clone();
    }
    if entry["xetHash"].is_string() {
        kept["xet_hash"] = entry["xetHash"].clone();
    }
    kept
}

/// Reads a list of files of the cache; `None` for another version, and where something in it cannot be trusted.
fn from_tree(tree: &Value) -> Option<Vec<HubFile>> {
    if tree["format_version"] != TREE_VERSION {
        return None;
    }
    let file = |(path, entry): (&String, &Value)| {
        let hash = entry.get("lfs_sha256").unwrap_or(&entry["blob_id"]).as_str()?.to_owned();
        let bytes = entry.get("lfs_size").unwrap_or(&entry["size"]).as_u64()?;
        (is_inside(path) && is_hash(&hash)).then(|| HubFile { path: path.clone(), bytes, hash })
    };
    let mut files = tree["files"].as_object()?.iter().map(file).collect::<Option<Vec<HubFile>>>()?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_a_name_that_leads_out_of_the_dataset_is_not_used() {
        let tree = |path: &str, hash: &str| {
            from_tree(&json!({"format_version": 1, "files": {path: {"size": 3, "blob_id": hash}}}))
        };
        let hash = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(tree("a/b.jsonl", hash).unwrap()[0].bytes, 3);
        for path in ["../x", "/etc/x", "a/../../x", "", "a//b"] {
            assert_eq!(tree(path, hash), None, "{path}");
        }
        assert_eq!(tree("a", "../../x"), None);
        assert_eq!(from_tree(&json!({"format_version": 2, "files": {}})), None);
    }
}
