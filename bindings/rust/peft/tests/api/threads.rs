//! What the header promises of threads.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::thread;

use peft::{
    Activation, CudaOptions, CudaView, ErrorId, ForwardInput, ForwardOptions,
    GenerateResult, HostModel, LayerRunner, LoadReport, Lowered, Model,
    ModelOptions, Names, ProbeReport, Session, StateDict, Tensor, ThreadPool,
};

use crate::common::{answer, base, model, quickstart, PROMPT};

fn is_send<T: Send>() {}
fn is_shared<T: Send + Sync>() {}

#[test]
fn all_may_go_to_other_threads_and_what_is_immutable_be_shared() {
    is_send::<Session>();
    is_send::<StateDict>();
    is_send::<LayerRunner<'_>>();
    is_shared::<CudaOptions>();
    is_shared::<CudaView<'_>>();
    is_shared::<Model>();
    is_shared::<HostModel<'_>>();
    is_shared::<Activation>();
    is_shared::<GenerateResult>();
    is_shared::<LoadReport>();
    is_shared::<Lowered<'_>>();
    is_shared::<Names>();
    is_shared::<ProbeReport>();
    is_shared::<Tensor>();
    is_shared::<peft::Error>();
}

#[test]
fn sessions_of_one_model_run_at_the_same_time() {
    let model = Arc::new(model(&["german"]));
    let expected = answer(&mut model.session().unwrap());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let model = Arc::clone(&model);
            thread::spawn(move || answer(&mut model.session().unwrap()))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), expected);
    }
}

#[test]
fn a_session_goes_to_another_thread_and_back() {
    let model = model(&["german"]);
    let mut session = model.session().unwrap();
    let here = answer(&mut session);
    let (mut session, there) = thread::spawn(move || {
        let there = answer(&mut session);
        (session, there)
    })
    .join()
    .unwrap();
    assert_eq!(there, here);
    assert_eq!(answer(&mut session), here);
}

/// Two threads for each call.
struct Scoped(AtomicI64);

impl ThreadPool for Scoped {
    fn num_threads(&self) -> i32 {
        2
    }

    fn parallel_for(&self, num_pieces: i64, piece: &(dyn Fn(i64) + Sync)) {
        self.0.fetch_add(1, Ordering::Relaxed);
        thread::scope(|scope| {
            scope.spawn(|| (0..num_pieces / 2).for_each(piece));
            (num_pieces / 2..num_pieces).for_each(piece);
        });
    }
}

#[test]
fn the_programs_threads_do_the_work() {
    static POOL: Scoped = Scoped(AtomicI64::new(0));
    let mut options = ModelOptions::new().thread_pool(&POOL);
    let model = Model::open_with(quickstart("base"), &mut options).unwrap();
    let found = answer(&mut model.session().unwrap());
    assert_eq!(found, answer(&mut base().session().unwrap()));
    assert!(POOL.0.load(Ordering::Relaxed) > 0);
}

struct Panicking;

impl ThreadPool for Panicking {
    fn num_threads(&self) -> i32 {
        2
    }

    fn parallel_for(&self, _: i64, _: &(dyn Fn(i64) + Sync)) {
        panic!("of the pool");
    }
}

#[test]
fn a_panic_of_a_pool_is_an_error() {
    static POOL: Panicking = Panicking;
    let mut options = ModelOptions::new().thread_pool(&POOL);
    let model = Model::open_with(quickstart("base"), &mut options).unwrap();
    let error = model
        .session()
        .unwrap()
        .compute(&ForwardInput::row(&PROMPT), &ForwardOptions::new())
        .unwrap_err();
    assert_eq!(error.id(), &ErrorId::ThreadPool);
}
