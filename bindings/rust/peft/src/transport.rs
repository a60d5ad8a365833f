//! A program's own network code.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::slice;
use std::time::Duration;

use peft_sys as sys;

use crate::callback::Caught;
use crate::constants::TransportError;
use crate::text::{str_of, TextPool};

/// What a transport returns: whether the answer is complete.
pub type Answer = std::result::Result<(), TransportError>;

/// A request that a program's own network code is to send.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    raw: &'a sys::peft_http_request_t,
}

impl<'a> Request<'a> {
    /// GET or HEAD.
    pub fn method(&self) -> &'a str {
        // SAFETY: Lives until the transport returns, as all of a request.
        unsafe { str_of(self.raw.method) }.unwrap_or_default()
    }

    /// Absolute, http or https, already encoded.
    pub fn url(&self) -> &'a str {
        // SAFETY: As above.
        unsafe { str_of(self.raw.url) }.unwrap_or_default()
    }

    /// The header fields, names and values, all but Host and Connection. An
    /// access token may be among them: send them to no other address, not even
    /// after a redirect.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let count = self.raw.num_fields;
        // SAFETY: As above; there are `count` of each.
        let texts = move |array: *const *const _| unsafe {
            let array = match count {
                0 => &[],
                _ => slice::from_raw_parts(array, count),
            };
            array.iter().map(|text| str_of(*text).unwrap_or_default())
        };
        texts(self.raw.field_names).zip(texts(self.raw.field_values))
    }

    /// For connecting, and between any two parts of the answer.
    pub fn timeout(&self) -> Duration {
        let milliseconds = u64::try_from(self.raw.timeout_ms).unwrap_or(0);
        Duration::from_millis(milliseconds)
    }
}

/// Where the answer to one request goes: first its head, then the parts of its
/// body, decoded (gzip, chunked) in order. When one of its functions says
/// `ControlFlow::Break(())` the transport ends the exchange and returns,
/// whatever value.
///
/// A transport follows no redirect and sends nothing to a server whose
/// certificate it has not verified. A connection that ends before the whole
/// body is there is `TransportError::Connect`. While nothing arrives it asks
/// [`is_cancelled`](Exchange::is_cancelled) ten times a second.
///
/// ```
/// use peft::{Exchange, LoadOptions, Request};
///
/// let options = LoadOptions::new().transport(
///     |request: &Request<'_>, exchange: &mut Exchange<'_>| {
///         println!("{} {}", request.method(), request.url());
///         let head = [("Content-Length", "2")];
///         if exchange.respond(200, &head).is_continue() {
///             let _ = exchange.write(b"{}");
///         }
///         Ok(())
///     },
/// );
/// ```
#[derive(Debug)]
pub struct Exchange<'a> {
    raw: *mut sys::peft_exchange_t,
    lives: PhantomData<&'a mut ()>,
}

// SAFETY: A handle; one call at a time, as it takes `&mut self`.
unsafe impl Send for Exchange<'_> {}

impl Exchange<'_> {
    /// Hands over the head of the answer. `Break`: the rest is of no use, or
    /// there was a head before, or status or fields are wrong.
    pub fn respond(
        &mut self,
        http_status: i32,
        fields: &[(&str, &str)],
    ) -> ControlFlow<()> {
        let mut texts = TextPool::default();
        let names = texts.array(fields.iter().map(|field| field.0));
        let values = texts.array(fields.iter().map(|field| field.1));
        if texts.check().is_err() {
            return ControlFlow::Break(());
        }
        // SAFETY: The arrays are valid for the call.
        flow(unsafe {
            sys::peft_exchange_respond(
                self.raw,
                http_status,
                names,
                values,
                fields.len(),
            )
        })
    }

    /// Hands over the next bytes of the body.
    pub fn write(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let data = bytes.as_ptr().cast();
        // SAFETY: The bytes are valid for the call.
        flow(unsafe { sys::peft_exchange_write(self.raw, data, bytes.len()) })
    }

    /// Whether the exchange is to end.
    pub fn is_cancelled(&mut self) -> bool {
        // SAFETY: The handle exists until the transport returns.
        unsafe { sys::peft_exchange_is_cancelled(self.raw) != 0 }
    }
}

fn flow(end: i32) -> ControlFlow<()> {
    match end {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

type SendRequest<'a> =
    dyn Fn(&Request<'_>, &mut Exchange<'_>) -> Answer + Send + Sync + 'a;

/// A closure that is a transport.
pub(crate) struct Transport<'a> {
    function: Box<SendRequest<'a>>,
    pub(crate) caught: Caught,
}

impl<'a> Transport<'a> {
    pub(crate) fn new(
        function: impl Fn(&Request<'_>, &mut Exchange<'_>) -> Answer
            + Send
            + Sync
            + 'a,
    ) -> Self {
        let function = Box::new(function);
        Transport { function, caught: Caught::default() }
    }
}

/// The `transport` of options that have a [`Transport`].
pub(crate) unsafe extern "C" fn transport(
    user_data: *mut c_void,
    request: *const sys::peft_http_request_t,
    exchange: *mut sys::peft_exchange_t,
) -> i32 {
    // SAFETY: A transport is shared by several threads; it, the request and
    // the exchange live until this function returns.
    let (transport, request) =
        unsafe { (&*user_data.cast::<Transport<'_>>(), &*request) };
    let request = Request { raw: request };
    let mut exchange = Exchange { raw: exchange, lives: PhantomData };
    let Transport { function, caught } = transport;
    match caught.run(|| function(&request, &mut exchange)) {
        Some(Ok(())) => sys::PEFT_TRANSPORT_OK,
        Some(Err(error)) => error.into(),
        // Nothing is tried again after it.
        None => sys::PEFT_TRANSPORT_TLS,
    }
}
