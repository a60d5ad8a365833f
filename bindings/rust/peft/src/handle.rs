//! What all handles have in common.

/// Declares an owner of a handle: a type that frees it when it is dropped.
macro_rules! handle {
    (
        $(#[$doc:meta])*
        $name:ident, $raw:ident, $free:ident
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            raw: *mut sys::$raw,
        }

        impl $name {
            /// Takes over what a function of the header returned as new.
            pub(crate) fn from_new(raw: *mut sys::$raw) -> Self {
                debug_assert!(!raw.is_null());
                Self { raw }
            }

            /// The handle, for calls of [`peft_sys`](crate::sys) that this
            /// crate has not. It is this object's to free.
            #[inline]
            pub fn as_raw(&self) -> *mut sys::$raw {
                self.raw
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: The handle is this object's own.
                unsafe { sys::$free(self.raw) }
            }
        }

        // SAFETY: A handle points to nothing and belongs to no thread: the
        // header allows to make, use and free it on different ones.
        unsafe impl Send for $name {}
    };
    // What the header calls immutable or thread-safe.
    (
        sync
        $(#[$doc:meta])*
        $name:ident, $raw:ident, $free:ident
    ) => {
        handle! {
            $(#[$doc])*
            $name, $raw, $free
        }

        // SAFETY: The header calls it immutable or thread-safe.
        unsafe impl Sync for $name {}
    };
}

/// Makes an info struct of the header with its size and zeros, for the library
/// to write to.
macro_rules! out_struct {
    ($raw:ident) => {{
        // SAFETY: Zeros are numbers, and null pointers.
        let mut raw: sys::$raw = unsafe { std::mem::zeroed() };
        raw.struct_size = std::mem::size_of::<sys::$raw>();
        raw
    }};
}

/// Makes an options struct of the header with the library's defaults.
macro_rules! default_struct {
    ($raw:ident, $init:ident) => {{
        // SAFETY: Zeros are numbers, and null pointers; then the library
        // writes as many bytes as it is told.
        unsafe {
            let mut raw: sys::$raw = std::mem::zeroed();
            sys::$init(&mut raw, std::mem::size_of::<sys::$raw>());
            raw
        }
    }};
}

/// Declares setters of fields of `self.raw`, for an `impl` of options.
macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {$(
        $(#[$doc])*
        pub fn $field(mut self, value: $type) -> Self {
            self.raw.$field = value.into();
            self
        }
    )*};
}

/// The same for texts, which go to `self.texts`.
macro_rules! text_setters {
    ($($(#[$doc:meta])* $field:ident: &str,)*) => {$(
        $(#[$doc])*
        pub fn $field(mut self, value: &str) -> Self {
            self.raw.$field = self.texts.text(value);
            self
        }
    )*};
}

pub(crate) use {default_struct, handle, out_struct, setters, text_setters};
