//! What is asked of the Hub, and how the program takes part in it.

use std::ffi::c_void;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::resume_unwind;

use peft_sys as sys;

use crate::callback::{Panic, Watcher};
use crate::transport::Transport;

/// How far a download is. Both totals are 0 until the Hub has said them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Download {
    /// The bytes that are there.
    pub bytes: i64,
    /// Of so many.
    pub total_bytes: i64,
    /// The files that are done.
    pub files: i64,
    /// Of so many.
    pub total_files: i64,
}

/// A [`Watcher`] that is told how far a download is.
type DownloadWatcher<'a> =
    Watcher<dyn FnMut(Download) -> ControlFlow<()> + Send + 'a>;

/// The closures of options that may fetch.
#[derive(Default)]
pub(crate) struct HubClosures<'a> {
    watcher: Option<Box<DownloadWatcher<'a>>>,
    transport: Option<Box<Transport<'a>>>,
}

impl<'a> HubClosures<'a> {
    pub(crate) fn watch(
        &mut self,
        function: impl FnMut(Download) -> ControlFlow<()> + Send + 'a,
    ) {
        self.watcher = Some(DownloadWatcher::new(Box::new(function)));
    }

    pub(crate) fn send_by(&mut self, transport: Transport<'a>) {
        self.transport = Some(Box::new(transport));
    }

    /// Sets the `user_data` of the two callbacks, and forgets what an earlier
    /// call may have left.
    pub(crate) fn lend_to(&mut self, raw: &mut impl HubFields) {
        self.take();
        if let Some(watcher) = self.watcher.as_deref_mut() {
            raw.set_user_data(watcher.user_data());
        }
        if let Some(transport) = self.transport.as_deref_mut() {
            let transport: *mut Transport<'a> = transport;
            raw.set_transport_user_data(transport.cast());
        }
    }

    /// Goes on with what a closure panicked with.
    pub(crate) fn resume(&self) {
        if let Some(panic) = self.take() {
            resume_unwind(panic);
        }
    }

    fn take(&self) -> Option<Panic> {
        let watcher = self.watcher.as_ref().and_then(|it| it.take());
        let transport = self.transport.as_ref().and_then(|it| it.caught.take());
        watcher.or(transport)
    }
}

impl fmt::Debug for HubClosures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubClosures")
            .field("on_download", &self.watcher.is_some())
            .field("transport", &self.transport.is_some())
            .finish()
    }
}

/// The `on_download` of options that have a [`DownloadWatcher`].
pub(crate) unsafe extern "C" fn on_download(
    user_data: *mut c_void,
    bytes: i64,
    total_bytes: i64,
    files: i64,
    total_files: i64,
) -> i32 {
    let download = Download { bytes, total_bytes, files, total_files };
    // SAFETY: One call at a time, while the options are borrowed for the call.
    unsafe { DownloadWatcher::tell(user_data, |function| function(download)) }
}

/// The options that may fetch, or be of files.
pub(crate) trait HubFields {
    fn set_user_data(&mut self, data: *mut c_void);
    fn set_transport_user_data(&mut self, data: *mut c_void);
    fn set_files(&mut self, files: *const sys::peft_file_t, count: usize);
}

macro_rules! hub_fields {
    ($($raw:ident)*) => {$(
        impl HubFields for sys::$raw {
            fn set_user_data(&mut self, data: *mut c_void) {
                self.user_data = data;
            }

            fn set_transport_user_data(&mut self, data: *mut c_void) {
                self.transport_user_data = data;
            }

            fn set_files(
                &mut self,
                files: *const sys::peft_file_t,
                count: usize,
            ) {
                self.files = files;
                self.num_files = count;
            }
        }
    )*};
}

hub_fields! { peft_model_options_t peft_load_options_t }

/// Setters of what options of models and of loads have in common: where on the
/// Hub, and how. `self` has `raw`, `texts` and `closures`.
macro_rules! hub_setters {
    () => {
        text_setters! {
            /// Of the Hub: a branch, tag, commit or "refs/pr/1". Default: main.
            revision: &str,
            /// Of the Hub: an access token. Default: HF_TOKEN or the token
            /// file.
            token: &str,
            /// Where downloads are kept. Default: HF_HUB_CACHE.
            cache_dir: &str,
            /// Of the Hub: its address. Default: HF_ENDPOINT.
            endpoint: &str,
            /// A folder below the one that is named; must not lead out of it.
            subfolder: &str,
        }

        setters! {
            /// Makes no request. Default false.
            local_files_only: bool,
            /// Fetches again what is there. Default false.
            force_download: bool,
        }

        /// One "scheme=URL" each, as "https=http://10.0.0.1:3128", the scheme
        /// http, https or all. They stand for all that the environment says of
        /// proxies.
        pub fn proxies(mut self, proxies: &[&str]) -> Self {
            self.raw.proxies = self.texts.array(proxies.iter().copied());
            self.raw.num_proxies = proxies.len();
            self
        }

        /// Is called while something is fetched, when bytes came and ten times
        /// a second or more while none do, on any thread.
        /// `ControlFlow::Break(())` cancels: the call then fails with
        /// `Cancelled`, and the next one goes on where it was. A panic of it
        /// goes on when the call has returned.
        pub fn on_download(
            mut self,
            function: impl FnMut(Download) -> ControlFlow<()> + Send + 'a,
        ) -> Self {
            self.closures.watch(function);
            self.raw.on_download = Some(crate::hub::on_download);
            self
        }

        /// Makes the requests to the Hub in place of the library's own network
        /// code; see [`Exchange`](crate::Exchange). It is called on several
        /// threads at once. A panic of it goes on when the call has returned.
        pub fn transport(
            mut self,
            function: impl Fn(&Request<'_>, &mut Exchange<'_>) -> Answer
                + Send
                + Sync
                + 'a,
        ) -> Self {
            self.closures.send_by(Transport::new(function));
            self.raw.transport = Some(crate::transport::transport);
            self
        }

        /// Calls `f` with the struct of the header, and lets closures that
        /// panicked go on.
        pub(crate) fn run<R>(
            &mut self,
            f: impl FnOnce(*const Raw) -> Result<R>,
        ) -> Result<R> {
            self.run_on(&mut [], f)
        }

        /// The same for files in place of a folder.
        pub(crate) fn run_on<R>(
            &mut self,
            files: &mut [File<'_>],
            f: impl FnOnce(*const Raw) -> Result<R>,
        ) -> Result<R> {
            self.texts.check()?;
            self.closures.lend_to(&mut self.raw);
            let result = with_files(files, |files, count| {
                self.raw.set_files(files, count);
                f(&self.raw)
            });
            self.closures.resume();
            result
        }
    };
}

pub(crate) use hub_setters;
