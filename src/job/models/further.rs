//! One more server of a model that is asked already. Its address, its key and its connection obey the rules of those that
//! the run began with.

use std::path::Path;
use std::sync::Arc;

use super::fault;
use super::keys::{ChosenKey, Keys};
use super::lane;
use crate::conversation::{Price, Target};
use crate::job::JobError;
use crate::model::{
    Endpoint, HttpModel, HttpSettings, Model, ModelProfile, Origin, Proxies, RequestLane, ServerFamily,
};

/// What the servers of a model are made from.
pub struct Further {
    /// The settings that they share.
    pub settings: HttpSettings,
    pub keys: Keys,
    pub proxies: Proxies,
    /// The name of the profile.
    pub name: String,
    pub profile: ModelProfile,
}

/// A server to be added to a run.
pub struct AddedServer {
    /// Its client.
    pub model: Arc<dyn Model>,
    /// Its host, by which people tell servers apart.
    pub host: String,
    /// What the user should know, such as a key that is not sent.
    pub cautions: Vec<String>,
}

impl Further {
    /// Returns the settings of one server, what the user should know of it, and the variable of its key.
    pub fn connection(&self, url: &str) -> Result<(HttpSettings, Option<String>, Option<String>), JobError> {
        let ChosenKey { key, caution, variable } = self.keys.choose(&self.name, &self.profile, url)?;
        let caution = caution.or_else(|| unencrypted(url));
        let (proxy, url) = (self.proxies.of(url), url.to_owned());
        Ok((HttpSettings { url, key, proxy, ..self.settings.clone() }, caution, variable))
    }

    /// Makes the client of one more server, which is asked what `target` says. Nothing is sent.
    pub fn server(&self, target: &Target, price: Option<&Price>, url: &str) -> Result<AddedServer, JobError> {
        let dialect = self.settings.dialect;
        let endpoint = Endpoint::new(target.model(), url, dialect.capabilities().path)?;
        let [url] = &endpoint.urls[..] else {
            return Err(JobError::usage("these are several servers", "add one at a time"));
        };
        let family = self.settings.family.unwrap_or_else(|| ServerFamily::of(url));
        family.check(target).map_err(|error| fault(&error))?;
        let mut cautions = Vec::new();
        if self.settings.lane == RequestLane::Flex {
            cautions.extend(lane::check(&endpoint, dialect, price, target)?);
        }
        let (settings, caution, _) = self.connection(url)?;
        cautions.extend(caution);
        let authorities = self.profile.ca_file.as_deref().map(read_authorities).transpose()?;
        let model = HttpModel::new(HttpSettings { authorities, ..settings })?;
        Ok(AddedServer { model: Arc::new(model), host: host(url).to_owned(), cautions })
    }
}

/// Says that everybody on the way to a server can read what is sent to it.
fn unencrypted(url: &str) -> Option<String> {
    let server = Origin::of(url).filter(|server| !server.is_private())?;
    Some(format!("questions and answers travel unencrypted between here and {server}; use https"))
}

pub fn read_authorities(path: &Path) -> Result<Arc<[u8]>, JobError> {
    std::fs::read(path).map(Arc::from).map_err(|error| {
        let message = format!("cannot read the certificates in {}: {error}", path.display());
        JobError::usage(message, "name a file of PEM certificates as ca-file")
    })
}

/// Returns the part of an address by which people tell servers apart.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}
