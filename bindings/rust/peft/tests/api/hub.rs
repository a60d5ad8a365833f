//! The Hub, as a closure plays it.

use std::ops::ControlFlow;
use std::sync::Mutex;

use peft::{
    fetch_adapter, fetch_model, fetch_model_for_adapters, Answer, Code,
    ErrorId, Exchange, LoadOptions, Model, ModelOptions, Request,
    TransportError,
};

use crate::callbacks::panic_of;
use crate::common::{base, TempDir};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The files of a repository, with the hashes that git has for them.
const FILES: [(&str, &str, &str); 2] = [
    (
        "adapter_config.json",
        "29728f547874b44dbc05e1617de6e72d2c271105",
        "{\"peft_type\": \"LORA\"}",
    ),
    (
        "adapter_model.safetensors",
        "3ab313fff6f41bb35969cd359e9ddfb8033b3ac2",
        "weights",
    ),
];

/// A Hub with that repository.
fn serve(request: &Request<'_>, exchange: &mut Exchange<'_>) -> Answer {
    assert!(request.timeout().as_millis() > 0);
    let url = request.url().strip_prefix("https://hub.test/").unwrap();
    let file = FILES.iter().find(|file| url.ends_with(file.0));
    let (status, hash, body) = match file {
        Some(&(_, hash, text)) => (200, hash, text.to_owned()),
        None if url.contains("/revision/main") => {
            (200, "", format!("{{\"sha\": \"{COMMIT}\"}}"))
        }
        None if url.contains("/tree/") => (200, "", tree()),
        None => (404, "", String::new()),
    };
    let (size, hash) = (body.len().to_string(), format!("\"{hash}\""));
    let fields =
        [("X-Repo-Commit", COMMIT), ("ETag", &hash), ("Content-Length", &size)];
    if exchange.respond(status, &fields).is_continue()
        && request.method() == "GET"
        && !exchange.is_cancelled()
    {
        let _ = exchange.write(body.as_bytes());
    }
    Ok(())
}

/// The repository's index.
fn tree() -> String {
    let entries = FILES.map(|(path, hash, text)| {
        let size = text.len();
        format!(
            "{{\"type\": \"file\", \"path\": \"{path}\", \
               \"oid\": \"{hash}\", \"size\": {size}}}"
        )
    });
    format!("[{}]", entries.join(","))
}

fn options<'a>(cache: &TempDir) -> LoadOptions<'a> {
    let cache = cache.join("cache");
    LoadOptions::new()
        .cache_dir(cache.to_str().unwrap())
        .endpoint("https://hub.test")
}

#[test]
fn a_closure_makes_the_requests() {
    let cache = TempDir::new();
    let urls = Mutex::new(Vec::new());
    let mut last = None;
    let mut options = options(&cache)
        .token("secret")
        .transport(|request, exchange| {
            let token = ("authorization", "Bearer secret");
            assert!(request.fields().any(|(name, value)| {
                (name.to_lowercase().as_str(), value) == token
            }));
            urls.lock().unwrap().push(request.url().to_owned());
            serve(request, exchange)
        })
        .on_download(|download| {
            last = Some(download);
            ControlFlow::Continue(())
        });
    let folder = fetch_adapter("owner/german", &mut options).unwrap();
    drop(options);
    for (name, _, text) in FILES {
        let found = std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(found, text);
        let urls = urls.lock().unwrap();
        assert!(urls.iter().any(|url| url.ends_with(name)), "{urls:?}");
    }
    let last = last.unwrap();
    assert_eq!((last.files, last.total_files), (2, 2));
    assert_eq!((last.bytes, last.total_bytes), (28, 28));
}

#[test]
fn what_a_transport_fails_with_is_the_error() {
    let cache = TempDir::new();
    let mut options =
        options(&cache).transport(|_, _| Err(TransportError::Tls));
    let error = fetch_adapter("owner/german", &mut options).unwrap_err();
    assert_eq!(error.id(), &ErrorId::HubTls, "{error}");
}

#[test]
fn a_panic_of_a_transport_goes_on_after_the_call() {
    let cache = TempDir::new();
    let model = base();
    let mut options =
        options(&cache).transport(|_, _| panic!("of the transport"));
    let panic = panic_of(|| {
        model.load_adapter_with("german", "owner/german", &mut options)
    });
    assert_eq!(panic, "of the transport");
    assert!(model.list_adapters().unwrap().is_empty());
}

#[test]
fn a_panic_of_on_download_goes_on_after_the_call() {
    let cache = TempDir::new();
    let mut options = options(&cache)
        .transport(serve)
        .on_download(|_| panic!("of the download"));
    let panic = panic_of(|| fetch_adapter("owner/german", &mut options));
    assert_eq!(panic, "of the download");
}

#[test]
fn a_download_can_be_cancelled() {
    let cache = TempDir::new();
    let mut options = options(&cache)
        .transport(serve)
        .on_download(|_| ControlFlow::Break(()));
    let error = fetch_adapter("owner/german", &mut options).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
}

#[test]
fn models_are_looked_for_in_the_cache_alone_where_asked() {
    let cache = TempDir::new();
    let cache = cache.join("cache");
    let new = || {
        ModelOptions::new()
            .cache_dir(cache.to_str().unwrap())
            .local_files_only(true)
            .revision("v1")
            .proxies(&["https=http://127.0.0.1:9"])
    };
    let error = fetch_model("owner/model", &mut new()).unwrap_err();
    assert_eq!(error.id(), &ErrorId::HubLocalEntryNotFound);
    let error = Model::open_with("owner/model", &mut new()).unwrap_err();
    assert_eq!(error.id(), &ErrorId::HubLocalEntryNotFound);

    let mut named = new()
        .for_adapters(&["owner/adapter"])
        .adapter_revision("v2")
        .adapter_subfolder("below")
        .force_download(false);
    let error = fetch_model_for_adapters(&mut named).unwrap_err();
    assert_eq!(error.id(), &ErrorId::HubLocalEntryNotFound);
    let error = Model::open_for_adapters(&mut named).unwrap_err();
    assert_eq!(error.id(), &ErrorId::HubLocalEntryNotFound);
}
