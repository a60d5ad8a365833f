//! The program's own threads.

use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};

use peft_sys as sys;

use crate::handle::default_struct;

/// The program's own threads, for the work of models.
///
/// ```
/// use peft::{Model, ModelOptions, ThreadPool};
///
/// struct Scoped;
///
/// impl ThreadPool for Scoped {
///     fn num_threads(&self) -> i32 {
///         2
///     }
///
///     fn parallel_for(&self, num_pieces: i64, piece: &(dyn Fn(i64) + Sync)) {
///         std::thread::scope(|scope| {
///             scope.spawn(|| (0..num_pieces / 2).for_each(piece));
///             (num_pieces / 2..num_pieces).for_each(piece);
///         });
///     }
/// }
///
/// static POOL: Scoped = Scoped;
/// let mut options = ModelOptions::new().thread_pool(&POOL);
/// # let base = "../../../examples/quickstart/base";
/// let model = Model::open_with(base, &mut options)?;
/// # Ok::<(), peft::Error>(())
/// ```
pub trait ThreadPool: Sync {
    /// How many threads work on one call, the one that calls included: 1 to
    /// 4096. Decides how finely work is cut, and nothing else.
    fn num_threads(&self) -> i32;

    /// Calls `piece` once with each index below `num_pieces`, on any threads
    /// and in any order, and returns when all these calls have returned. Is
    /// called on the thread that called the library, from several at once where
    /// the program calls it so. Where it leaves pieces out, or panics, that
    /// thread does them, and the call fails with `ThreadPool`.
    fn parallel_for(&self, num_pieces: i64, piece: &(dyn Fn(i64) + Sync));
}

/// The struct of the header for `pool`.
pub(crate) fn raw_pool<P: ThreadPool>(
    pool: &'static P,
) -> sys::peft_thread_pool_t {
    let mut raw = default_struct!(peft_thread_pool_t, peft_thread_pool_init);
    raw.user_data = (pool as *const P).cast_mut().cast();
    raw.parallel_for = Some(parallel_for::<P>);
    raw.num_threads = pool.num_threads();
    raw
}

/// What a piece needs; the library's own function may be called on any thread.
struct Piece {
    function: unsafe extern "C" fn(*mut c_void, i64),
    data: *mut c_void,
}

// SAFETY: Any thread may call the function, also at the same time.
unsafe impl Sync for Piece {}

impl Piece {
    fn run(&self, index: i64) {
        // SAFETY: Calls that are too many do nothing.
        unsafe { (self.function)(self.data, index) }
    }
}

unsafe extern "C" fn parallel_for<P: ThreadPool>(
    user_data: *mut c_void,
    num_pieces: i64,
    piece: sys::peft_piece_fn,
    piece_data: *mut c_void,
) -> i32 {
    let Some(function) = piece else { return 1 };
    // SAFETY: `user_data` is the pool.
    let pool = unsafe { &*user_data.cast::<P>() };
    let piece = Piece { function, data: piece_data };
    let result = catch_unwind(AssertUnwindSafe(|| {
        pool.parallel_for(num_pieces, &|index| piece.run(index));
    }));
    i32::from(result.is_err())
}
