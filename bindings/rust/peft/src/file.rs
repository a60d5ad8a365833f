//! Files that are not in a folder.

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};

use peft_sys as sys;

use crate::callback::Caught;
use crate::constants::FileKind;
use crate::error::Result;
use crate::handle::default_struct;
use crate::text::TextPool;

type Read<'a> = dyn FnMut(u64, &mut [u8]) -> io::Result<usize> + 'a;

struct Reader<'a> {
    function: Box<Read<'a>>,
    caught: Caught,
}

/// A file of a model's or an adapter's folder, wherever it is: in memory, in a
/// package, behind a function.
///
/// ```
/// use peft::{File, LoadOptions, Model};
///
/// # let base = "../../../examples/quickstart/base";
/// # let german = "../../../examples/quickstart/adapters/german";
/// let model = Model::open(base)?;
/// # let read = |name| std::fs::read(format!("{german}/{name}")).unwrap();
/// # let (config, weights) =
/// #     (read("adapter_config.json"), read("adapter_model.safetensors"));
/// let mut files = [
///     File::memory("adapter_config.json", &config),
///     File::memory("adapter_model.safetensors", &weights),
/// ];
/// let mut options = LoadOptions::new();
/// model.load_adapter_files("german", &mut files, &mut options)?;
/// # Ok::<(), peft::Error>(())
/// ```
pub struct File<'a> {
    raw: sys::peft_file_t,
    name: TextPool,
    reader: Option<Box<Reader<'a>>>,
    lives: PhantomData<&'a [u8]>,
}

impl std::fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.raw.fmt(f)
    }
}

impl<'a> File<'a> {
    fn new(name: &str, kind: FileKind, size: u64) -> Self {
        let mut raw = default_struct!(peft_file_t, peft_file_init);
        let mut pool = TextPool::default();
        raw.name = pool.text(name);
        raw.kind = kind.into();
        // What is larger is the library's to refuse.
        raw.size = i64::try_from(size).unwrap_or(-1);
        File { raw, name: pool, reader: None, lives: PhantomData }
    }

    /// A file in memory, of which tensors are copied. `name` is as the folder
    /// would have it: "adapter_config.json".
    pub fn memory(name: &str, bytes: &'a [u8]) -> Self {
        let mut file = Self::new(name, FileKind::Memory, bytes.len() as u64);
        file.raw.data = bytes.as_ptr().cast();
        file
    }

    /// A file in memory, of which tensors stay where they are.
    pub fn static_memory(name: &str, bytes: &'static [u8]) -> Self {
        let mut file = Self::memory(name, bytes);
        file.raw.copy_data = 0;
        file
    }

    /// The `size` bytes from `offset` on of an open file that can be sought, as
    /// packaged assets are. The file may be closed after the call, also where
    /// it is mapped; its position stays as it is.
    #[cfg(unix)]
    pub fn part_of(
        name: &str,
        file: &'a impl AsFd,
        offset: u64,
        size: u64,
    ) -> Self {
        let mut part = Self::new(name, FileKind::Fd, size);
        part.raw.fd = file.as_fd().as_raw_fd();
        part.raw.offset = i64::try_from(offset).unwrap_or(-1);
        part
    }

    /// A file of `size` bytes behind a function, which reads bytes from an
    /// offset on to a buffer and returns their number, at least 1. It is called
    /// on the thread that made the call, which it ends where it fails; a panic
    /// of it goes on when the call has returned. It must not call this crate.
    pub fn reader(
        name: &str,
        size: u64,
        function: impl FnMut(u64, &mut [u8]) -> io::Result<usize> + 'a,
    ) -> Self {
        let mut file = Self::new(name, FileKind::Read, size);
        let function = Box::new(function);
        let caught = Caught::default();
        file.reader = Some(Box::new(Reader { function, caught }));
        file.raw.read = Some(read);
        file
    }

    fn raw(&mut self) -> Result<sys::peft_file_t> {
        self.name.check()?;
        if let Some(reader) = self.reader.as_deref_mut() {
            reader.caught.take();
            self.raw.user_data = (reader as *mut Reader<'a>).cast();
        }
        Ok(self.raw)
    }
}

/// Calls `f` with the files as the header has them, and lets functions that
/// panicked go on.
pub(crate) fn with_files<R>(
    files: &mut [File<'_>],
    f: impl FnOnce(*const sys::peft_file_t, usize) -> Result<R>,
) -> Result<R> {
    let raw = files.iter_mut().map(File::raw).collect::<Result<Vec<_>>>()?;
    let result = match raw.len() {
        0 => f(std::ptr::null(), 0),
        count => f(raw.as_ptr(), count),
    };
    for reader in files.iter().filter_map(|file| file.reader.as_ref()) {
        reader.caught.resume();
    }
    result
}

unsafe extern "C" fn read(
    user_data: *mut c_void,
    offset: i64,
    buffer: *mut c_void,
    size: i64,
) -> i64 {
    const FAILED: i64 = -1;
    let (Ok(at), Ok(count)) = (u64::try_from(offset), usize::try_from(size))
    else {
        return FAILED;
    };
    // SAFETY: The files are borrowed for the call, on whose thread this is. The
    // buffer has so many bytes, which may not have been written to yet.
    let (reader, buffer) = unsafe {
        buffer.cast::<u8>().write_bytes(0, count);
        let buffer = std::slice::from_raw_parts_mut(buffer.cast(), count);
        (&mut *user_data.cast::<Reader<'_>>(), buffer)
    };
    let Reader { function, caught } = reader;
    match caught.run(|| function(at, buffer)) {
        Some(Ok(read)) if read <= count => read as i64,
        _ => FAILED,
    }
}
