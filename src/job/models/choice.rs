use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::further::{AddedServer, Further, host, read_authorities};
use crate::conversation::{ConversationKey, Price, Question, Sampling, Target};
use crate::files::path_of;
use crate::job::JobError;
use crate::model::{
    HttpModel, HttpSettings, LIST_PRICES_AS_OF, ListPrice, Model, Output, RequestLane, RequestPreview, Routing,
    ToolCommand, capabilities_of, profile_table, without_passwords, without_secrets,
};
use crate::report::Party;
use crate::report::words::number;
use crate::worker::Served;

/// What is added to the address of a server.
const ROUTES: [&str; 2] = ["/chat/completions", "/messages"];

/// A model that was chosen, not yet connected to.
#[derive(Clone)]
pub struct ModelChoice {
    /// Whom the questions are for.
    pub target: Arc<Target>,
    /// What tokens cost, where that is known.
    pub price: Option<Price>,
    /// The list price, if that is what `price` is.
    pub listed: Option<ListPrice>,
    /// At which tier it is asked.
    pub lane: RequestLane,
    /// The system message of the model's profile: text, or `@FILE`.
    pub system: Option<String>,
    pub(super) routing: Routing,
    /// The model's own number of calls in flight.
    pub(super) concurrency: Option<usize>,
    /// Whether the profile says that JSON of a schema is asked for.
    pub(in crate::job) structured: Option<bool>,
    pub(super) server: Server,
    /// What the user should know before the first call, such as a key that is not sent.
    pub(super) cautions: Vec<String>,
    /// Certificate authorities that are trusted beside the system's.
    pub(super) ca_file: Option<PathBuf>,
    /// What one more server is made from; `None` for a model of this process.
    pub(super) further: Option<Arc<Further>>,
}

/// Who answers for a model.
#[derive(Clone)]
pub enum Server {
    /// A model of this process.
    Local(Arc<dyn Model>),
    /// One address for each replica.
    Http(Vec<HttpSettings>),
}

impl std::fmt::Debug for ModelChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelChoice")
            .field("target", &self.target)
            .field("hosts", &self.hosts())
            .finish_non_exhaustive()
    }
}

impl ModelChoice {
    /// The dialect's name in fingerprints of questions to a model of the calling program.
    const LOCAL_DIALECT: &str = "local";

    /// A model of the calling program. Its answers are stored under `name`: give another version another name.
    pub fn local(name: impl Into<String>, model: Arc<dyn Model>) -> Self {
        let target = Target::new(name, Self::LOCAL_DIALECT, Sampling::default());
        Self {
            target,
            price: None,
            listed: None,
            lane: RequestLane::Online,
            system: None,
            routing: Routing::default(),
            concurrency: None,
            structured: None,
            server: Server::Local(model),
            cautions: Vec::new(),
            ca_file: None,
            further: None,
        }
    }

    /// A command that answers calls to tools.
    pub fn tool_command(command: ToolCommand) -> Self {
        let target = Target::new(command.name(), ToolCommand::DIALECT, Sampling::default());
        let local = Self::local(command.name(), Arc::new(command));
        // It costs nothing, whatever it prints.
        Self { target, price: Some(Price::default()), concurrency: Some(ToolCommand::CONCURRENCY), ..local }
    }

    /// Makes the connections.
    pub fn connect(&self) -> Result<Served, JobError> {
        let name = self.target.model();
        let connections = match &self.server {
            Server::Local(model) => {
                return Ok(Served { concurrency: self.concurrency, ..Served::by_one(name, Arc::clone(model)) });
            }
            Server::Http(connections) => connections,
        };
        let authorities = self.ca_file.as_deref().map(read_authorities).transpose()?;
        let replicas = connections.iter().map(|settings| {
            let settings = HttpSettings { authorities: authorities.clone(), ..settings.clone() };
            Ok(Arc::new(HttpModel::new(settings)?) as _)
        });
        let hosts: Vec<String> = connections.iter().map(|settings| host(&settings.url).to_owned()).collect();
        let labels = self.labels();
        let (routing, concurrency) = (self.routing, self.concurrency);
        Ok(Served { replicas: replicas.collect::<Result<_, JobError>>()?, routing, labels, hosts, concurrency })
    }

    /// Makes the client of one more server. Nothing is sent.
    pub fn one_more(&self, url: &str) -> Result<AddedServer, JobError> {
        let further = self.further.as_ref().ok_or_else(|| {
            let message = format!("`{}` is a model of this process and has no servers", self.target.model());
            JobError::usage(message, "add servers to a model that is asked over HTTP")
        })?;
        further.server(&self.target, self.price.as_ref(), url)
    }

    /// Returns the names of the servers in messages, in the order of the addresses.
    pub fn labels(&self) -> Vec<String> {
        let name = self.target.model();
        match &self.urls()[..] {
            [] | [_] => vec![name.to_owned()],
            several => several.iter().map(|url| format!("{name} at {}", host(url))).collect(),
        }
    }

    /// Returns the addresses of the servers, without what may be secret; none for a model of this process.
    pub fn addresses(&self) -> Vec<String> {
        self.urls().into_iter().map(without_secrets).collect()
    }

    /// Returns the first request for a question, to be shown; `None` for a model of this process. Nothing is sent.
    pub fn preview(
        &self,
        question: &Question,
        conversation: ConversationKey,
    ) -> Result<Option<RequestPreview>, JobError> {
        let Server::Http(connections) = &self.server else { return Ok(None) };
        let Some(settings) = connections.first() else { return Ok(None) };
        let preview = HttpModel::new(settings.clone())?.preview(question, conversation);
        preview.map(Some).map_err(|failure| {
            JobError::usage(format!("the request cannot be written: {failure}"), "change the model's profile")
        })
    }

    /// False for a reward model, which answers with a number.
    pub fn writes(&self) -> bool {
        let is_command = self.target.dialect() == ToolCommand::DIALECT;
        !is_command && capabilities_of(&self.target).output == Output::Text
    }

    /// Returns the system message of a conversation: the run's takes precedence over the profile's.
    pub fn system_text(&self, run: Option<&str>) -> Result<Option<String>, JobError> {
        run.or(self.system.as_deref()).map(read_system_text).transpose()
    }

    /// Returns the same where each of several models has its own: the profile's takes precedence over the run's.
    pub fn own_system_text(&self, run: Option<&str>) -> Result<Option<String>, JobError> {
        self.system.as_deref().or(run).map(read_system_text).transpose()
    }

    /// Returns the names of the model's servers: their hosts, or the model's name for a model of this process.
    pub fn servers(&self) -> Vec<&str> {
        match self.hosts() {
            hosts if hosts.is_empty() => vec![self.target.model()],
            hosts => hosts,
        }
    }

    /// Returns the hosts of the model's addresses, without paths and keys.
    pub fn hosts(&self) -> Vec<&str> {
        self.urls().into_iter().map(host).collect()
    }

    /// Returns the model with a role, to be shown.
    pub fn party(&self, role: impl Into<String>) -> Party {
        let base = |url: &str| ROUTES.iter().find_map(|route| url.strip_suffix(route)).unwrap_or(url).to_owned();
        let addresses = self.urls().into_iter().map(|url| base(&without_passwords(url))).collect();
        Party { role: role.into(), model: self.target.model().to_owned(), addresses }
    }

    /// Returns what the user should know before the first call, such as a key that is not sent.
    pub fn cautions(&self) -> &[String] {
        &self.cautions
    }

    /// Says which list price is used, if one is.
    pub fn list_price_caution(&self) -> Option<String> {
        let ListPrice { price, source, more_over } = self.listed?;
        let cached = price.cached_input.map_or(String::new(), |cached| format!("{cached} cached, "));
        let flex = price.flex.filter(|_| self.lane == RequestLane::Flex);
        let flex =
            flex.map_or(String::new(), |flex| format!(", at the flex tier {} in, {} out", flex.input, flex.output));
        let more = more_over.map_or(String::new(), |tokens| {
            format!(", and a prompt of more than {} tokens costs more", number(u64::from(tokens)))
        });
        Some(format!(
            "the price of `{model}` is the list price of {LIST_PRICES_AS_OF} ({source}): dollars per million tokens {} in, \
             {cached}{} out{flex}{more}; {table} price takes precedence",
            price.input,
            price.output,
            model = self.target.model(),
            table = profile_table(self.target.model()),
        ))
    }

    fn urls(&self) -> Vec<&str> {
        match &self.server {
            Server::Local(_) => Vec::new(),
            Server::Http(connections) => connections.iter().map(|settings| settings.url.as_str()).collect(),
        }
    }
}

/// Returns what tokens cost, by model, as far as that is known.
pub fn prices(models: &[&ModelChoice]) -> BTreeMap<String, Price> {
    models.iter().filter_map(|choice| Some((choice.target.model().to_owned(), choice.price?))).collect()
}

/// Connects to each model once, however many of these name it.
pub fn connect_all(models: &[&ModelChoice]) -> Result<HashMap<String, Served>, JobError> {
    let mut connected = HashMap::new();
    for (at, one) in models.iter().enumerate() {
        let name = one.target.model();
        match models[..at].iter().find(|other| other.target.model() == name) {
            Some(other) if other.urls() != one.urls() => {
                let message = format!("two models are called `{name}`, at different addresses");
                return Err(JobError::usage(
                    message,
                    "answers are stored by the model's name: have one of the servers give it another name \
                     (vLLM: --served-model-name)",
                ));
            }
            Some(_) => {}
            None => drop(connected.insert(name.to_owned(), one.connect()?)),
        }
    }
    Ok(connected)
}

/// Returns a system message, read from its file where it names one.
fn read_system_text(text: &str) -> Result<String, JobError> {
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let read = std::fs::read_to_string(path_of(path)).map(|text| text.trim_end().to_owned());
    read.map_err(|error| {
        let message = format!("cannot read the system message {path}: {error}");
        JobError::usage(message, "write --system @FILE with a file that exists")
    })
}
