//! What the header promises of threads.

use std::sync::Arc;
use std::thread;

use peft::{
    Activation, GenerateResult, HostModel, LoadReport, Model, Names,
    ProbeReport, Session, StateDict, Tensor,
};

use crate::common::{answer, model};

fn is_send<T: Send>() {}
fn is_shared<T: Send + Sync>() {}

#[test]
fn all_may_go_to_other_threads_and_what_is_immutable_be_shared() {
    is_send::<Session>();
    is_send::<StateDict>();
    is_shared::<Model>();
    is_shared::<HostModel<'_>>();
    is_shared::<Activation>();
    is_shared::<GenerateResult>();
    is_shared::<LoadReport>();
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
