//! The page of `cohobate view` and what it asks for. Only this folder knows HTTP.
//!
//! The server listens on the loopback address alone. A conversation is data of strangers, so the page gets it as JSON and
//! shows it as text; its policy allows no script and no style but its own files.

mod access;
mod answers;
mod judging;
mod saving;
mod steering;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::net::TcpListener;

pub use access::Access;

use super::looked::Looked;
use answers::PageFile;

/// The port when none is named.
pub const PORT: u16 = 8421;
/// How often the journal is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A page that is served.
pub struct Server {
    listener: TcpListener,
    page: Arc<Page>,
}

/// What every request is answered from.
struct Page {
    looked: Arc<Looked>,
    access: Access,
}

impl Server {
    /// Listens on the loopback address. Port 0 is any free one. `on_link` gets the link with which a browser is let in,
    /// and a new one each time one was used.
    pub async fn bind(
        port: u16,
        looked: Arc<Looked>,
        on_link: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let access = Access::new(listener.local_addr()?.port(), Box::new(on_link))?;
        Ok(Self { listener, page: Arc::new(Page { looked, access }) })
    }

    /// Serves the page until `stop` ends.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self { listener, page } = self;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let following = std::thread::Builder::new().name("follow".to_owned()).spawn({
            let (looked, is_stopping) = (Arc::clone(&page.looked), Arc::clone(&is_stopping));
            move || {
                while !is_stopping.load(Ordering::Acquire) {
                    looked.catch_up(&is_stopping);
                    std::thread::park_timeout(LOOK_INTERVAL);
                }
            }
        })?;
        page.access.tell_link();
        let served = axum::serve(listener, routes(page));
        let result = tokio::select! {
            result = served => result,
            () = stop => Ok(()),
        };
        is_stopping.store(true, Ordering::Release);
        following.thread().unpark();
        let _ = tokio::task::spawn_blocking(move || following.join()).await;
        result
    }
}

fn routes(page: Arc<Page>) -> Router {
    let html = || get(async || answers::file(PageFile::Html));
    Router::new()
        .route("/", html())
        .route("/c/{item}", html())
        .route("/page.css", get(async || answers::file(PageFile::Style)))
        .route("/page.js", get(async || answers::file(PageFile::Script)))
        .route("/pairs.js", get(async || answers::file(PageFile::Pairs)))
        .route("/run.js", get(async || answers::file(PageFile::Run)))
        .route("/api/run", get(steering::status))
        .route("/api/run/verb", post(steering::steer))
        .route("/api/about", get(answers::about))
        .route("/api/live", get(answers::live))
        .route("/api/list", get(answers::list))
        .route("/api/counts", get(answers::counts))
        .route("/api/item/{item}", get(answers::item))
        .route("/api/find", get(answers::find))
        .route("/pairs", html())
        .route("/p/{pair}", html())
        .route("/api/pairs", get(judging::list))
        .route("/api/pair/{pair}", get(judging::pair).post(judging::judge))
        .route("/api/save", get(saving::save))
        .layer(middleware::from_fn_with_state(Arc::clone(&page), guard))
        .with_state(page)
}

/// Lets in whoever may see the page, and gives every reply the headers that keep it to itself.
async fn guard(State(page): State<Arc<Page>>, request: Request, next: Next) -> Response {
    let reply = match page.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    };
    access::sealed(reply)
}
