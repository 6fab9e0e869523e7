//! The models that a server offers, for the error that it does not have the one that was asked for.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::HttpModel;
use super::reply::read_error;

/// Time limit for the list.
const TIME_MAX: Duration = Duration::from_secs(10);

impl HttpModel {
    /// Asks the server for its list of models, once.
    pub(super) async fn list_models(&self) -> Option<Vec<String>> {
        let url = list_url(&self.url)?;
        let headers = self.headers.with_key(self.current_key().await.as_ref()).ok()?;
        let request = self.client.get(url).headers(headers);
        let reply = async {
            let response = request.send().await.ok().filter(|response| response.status().is_success())?;
            // The limit on its length is the one of an error: 64 kB are some hundred names.
            Some(names(self.redact(&String::from_utf8_lossy(&read_error(response).await)).as_bytes()))
        };
        timeout(TIME_MAX, reply).await.ok()?.filter(|names| !names.is_empty())
    }
}

/// Returns the address of the list: `/models` in place of the dialect's path, as all servers have it.
fn list_url(url: &reqwest::Url) -> Option<reqwest::Url> {
    let paths = ["/chat/completions", "/messages", "/completions"];
    let base = paths.iter().find_map(|path| url.path().strip_suffix(path))?;
    let mut list = url.clone();
    list.set_path(&format!("{base}/models"));
    Some(list)
}

/// Reads the names, also of a list that was cut off.
fn names(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        let list = value.get("data").or_else(|| value.get("models")).unwrap_or(&value);
        let name = |entry: &Value| {
            let name = ["id", "name", "model"].iter().find_map(|field| entry.get(*field)?.as_str());
            name.or(entry.as_str()).map(str::to_owned)
        };
        return list.as_array().into_iter().flatten().filter_map(name).collect();
    }
    let ids = text.split("\"id\"").skip(1).filter_map(|rest| rest.split('"').nth(1));
    ids.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_every_kind_of_list() {
        for body in [
            r#"{"object": "list", "data": [{"id": "a"}, {"id": "b"}]}"#,
            r#"{"models": [{"name": "a"}, {"model": "b"}]}"#,
            r#"[{"id": "a"}, "b"]"#,
            r#"{"data": [{"id": "a", "x": 1}, {"id": "b", "x"#,
        ] {
            assert_eq!(names(body.as_bytes()), ["a", "b"], "{body}");
        }
        assert_eq!(names(b"<html></html>"), [""; 0]);
    }

    #[test]
    fn the_list_is_beside_the_dialect_path() {
        let list = |url: &str| list_url(&url.parse().unwrap()).map(|url| url.to_string());
        assert_eq!(list("http://a/v1/chat/completions?x=1").as_deref(), Some("http://a/v1/models?x=1"));
        assert_eq!(list("http://a/v1/messages").as_deref(), Some("http://a/v1/models"));
        assert_eq!(list("http://a/score"), None);
    }
}
