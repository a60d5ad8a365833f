//! Tensors and state dicts.

use peft::{Bf16, DType, Device, ErrorId, StateDict, Tensor, TensorView};

use crate::common::TempDir;

fn dict() -> StateDict {
    let mut dict = StateDict::new().unwrap();
    let set = |dict: &mut StateDict, name, view: TensorView<'_>| {
        dict.set(name, &view).unwrap();
    };
    let numbers = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    set(&mut dict, "b", TensorView::new(&numbers, &[2, 3]).unwrap());
    let halves = [Bf16(0x3f80), Bf16(0x4000)];
    set(&mut dict, "a", TensorView::new(&halves, &[2]).unwrap());
    set(&mut dict, "c", TensorView::new(&[7_i64], &[]).unwrap());
    dict
}

#[test]
fn names_are_in_order_and_tensors_outlive_the_dict() {
    let dict = dict();
    assert_eq!((dict.len(), dict.is_empty()), (3, false));
    assert_eq!(dict.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    let tensors: Vec<Tensor> = dict.iter().map(|it| it.1.unwrap()).collect();
    drop(dict);
    let a = tensors[0].view().unwrap();
    assert_eq!(a.as_slice(), Some(&[Bf16(0x3f80), Bf16(0x4000)][..]));
    assert_eq!(a.as_slice::<u16>(), None);
    let b = tensors[1].view().unwrap();
    assert_eq!((b.dtype(), b.rank(), b.sizes()), (DType::F32, 2, &[2, 3][..]));
    assert_eq!(b.device(), (Device::Cpu, 0));
    assert_eq!(b.as_slice::<f32>().unwrap()[5], 6.0);
    let c = tensors[2].view().unwrap();
    assert_eq!((c.rank(), c.as_slice()), (0, Some(&[7_i64][..])));
}

#[test]
fn strided_elements_are_copied_in_order() {
    let columns = [1.0_f32, 4.0, 2.0, 5.0, 3.0, 6.0];
    let view = TensorView::with_strides(&columns, &[2, 3], &[1, 2]).unwrap();
    let mut dict = StateDict::new().unwrap();
    dict.set("x", &view).unwrap();
    let tensor = dict.get("x").unwrap();
    let rows = tensor.view().unwrap();
    assert!(rows.is_contiguous());
    assert_eq!(rows.as_slice(), Some(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0][..]));
}

#[test]
fn a_name_that_is_not_there_is_an_error() {
    let error = dict().get("d").unwrap_err();
    assert_eq!(error.id(), &ErrorId::TensorMissing);
}

#[test]
fn a_dict_is_written_and_read() {
    let folder = TempDir::new();
    let path = folder.join("x.safetensors");
    dict().write(&path).unwrap();
    let again = StateDict::read(&path).unwrap();
    assert_eq!(again.names().len(), 3);
    let tensor = again.get("b").unwrap();
    assert_eq!(tensor.view().unwrap().as_bytes().unwrap().len(), 24);
    let error = StateDict::read(folder.join("y")).unwrap_err();
    assert_eq!(error.id(), &ErrorId::FileNotFound);
}

#[test]
fn dlpack_keeps_the_memory_by_itself() {
    let managed = dict().get("b").unwrap().to_dlpack().unwrap();
    let tensor = managed.get();
    assert_eq!((tensor.ndim, tensor.dtype.bits), (2, 32));
    // SAFETY: So many numbers live as long as `managed`.
    let numbers =
        unsafe { std::slice::from_raw_parts(tensor.data.cast::<f32>(), 6) };
    assert_eq!(numbers, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);

    let raw = managed.into_raw();
    // SAFETY: The tensor is this function's own now.
    unsafe { ((*raw).deleter.unwrap())(raw) };
}
