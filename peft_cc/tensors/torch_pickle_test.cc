#include "peft_cc/tensors/torch_pickle.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/test_files.h"

namespace peft {
namespace {

absl::StatusOr<TorchStateDict> Read(absl::string_view pickle) {
  const Bytes bytes = ToBytes(pickle);
  ByteReader reader(bytes.data);
  TorchPickleHost host;
  PickleHeap heap;
  PEFT_ASSIGN_OR_RETURN(const PickleRef root, RunPickle(reader, host, heap));
  return host.TakeStateDict(heap, root);
}

void ExpectError(absl::string_view pickle, absl::string_view id,
                 absl::string_view part) {
  const absl::Status status = Read(pickle).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_EQ(ErrorId(status), id) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

void ExpectBroken(absl::string_view pickle, absl::string_view part) {
  ExpectError(pickle, "TORCH_FILE", part);
}

// The start of a dict whose entry "w" is what follows.
PickleBuilder DictOfW() { return PickleBuilder().Dict().String("w"); }

// A call of `function` on a storage, the number 0, two tuples and more.
std::string Rebuild(absl::string_view function, absl::string_view storage_type,
                    absl::string_view more) {
  return DictOfW()
      .Global("torch._utils", function)
      .Mark()
      .Storage(storage_type, "0", 6)
      .Int(0)
      .IntTuple({2, 3})
      .IntTuple({3, 1})
      .Raw(more)
      .Raw("tRs")
      .Stop();
}

TEST(TorchPickle, ReadsTensor) {
  const auto dict = Read(OneTensorPickle());
  ASSERT_TRUE(dict.ok()) << dict.status();
  ASSERT_EQ(dict->tensors.size(), 1u);
  EXPECT_EQ(dict->tensors[0].first, "w");
  const TorchTensor& tensor = dict->tensors[0].second;
  EXPECT_EQ(tensor.dtype, DType::kF32);
  EXPECT_EQ(tensor.offset, 0);
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensor.strides, (std::vector<int64_t>{3, 1}));
  ASSERT_EQ(dict->storages.size(), 1u);
  EXPECT_EQ(dict->storages[0].key, "0");
  EXPECT_EQ(dict->storages[0].num_elements, 6);
  EXPECT_EQ(dict->storages[0].element_size(), 4);
}

TEST(TorchPickle, OrderedDictWithAttributes) {
  const auto dict = Read(PickleBuilder()
                             .OrderedDict()
                             .String("w")
                             .Tensor("HalfStorage", "0", 6, 1, {2}, {1})
                             .Raw("s")
                             .Dict()
                             .String("_metadata")
                             .OrderedDict()
                             .Raw("sb")
                             .Stop());
  ASSERT_TRUE(dict.ok()) << dict.status();
  EXPECT_EQ(dict->tensors[0].second.dtype, DType::kF16);
}

TEST(TorchPickle, SharedStorageIsOne) {
  const auto dict = Read(PickleBuilder()
                             .Dict()
                             .String("a")
                             .Tensor("FloatStorage", "0", 6, 0, {3}, {1})
                             .Raw("s")
                             .String("b")
                             .Tensor("FloatStorage", "0", 6, 3, {3}, {1})
                             .Raw("s")
                             .Stop());
  ASSERT_TRUE(dict.ok()) << dict.status();
  EXPECT_EQ(dict->storages.size(), 1u);
  EXPECT_EQ(dict->tensors[1].second.offset, 3);
}

TEST(TorchPickle, AllFormsOfRebuild) {
  const std::string hooks =
      "\x89"
      "ccollections\nOrderedDict\n)R";
  const std::string cases[] = {
      Rebuild("_rebuild_tensor", "FloatStorage", ""),
      Rebuild("_rebuild_tensor_v2", "FloatStorage", hooks),
      Rebuild("_rebuild_tensor_v2", "FloatStorage", hooks + "N"),
      Rebuild("_rebuild_tensor_v2", "FloatStorage", hooks + "}"),
      Rebuild("_rebuild_tensor_v3", "UntypedStorage",
              hooks + "ctorch\nfloat32\n"),
      Rebuild("_rebuild_tensor_v3", "UntypedStorage",
              hooks + "ctorch\nfloat32\nN"),
  };
  for (const std::string& pickle : cases) {
    const auto dict = Read(pickle);
    ASSERT_TRUE(dict.ok()) << dict.status();
    EXPECT_EQ(dict->tensors[0].second.dtype, DType::kF32);
  }
}

TEST(TorchPickle, SizesMayBeTorchSize) {
  const auto dict = Read(DictOfW()
                             .Global("torch._utils", "_rebuild_tensor")
                             .Mark()
                             .Storage("FloatStorage", "0", 6)
                             .Int(0)
                             .Global("torch", "Size")
                             .IntTuple({2, 3})
                             .Raw("\x85R")
                             .IntTuple({3, 1})
                             .Raw("tRs")
                             .Stop());
  ASSERT_TRUE(dict.ok()) << dict.status();
  EXPECT_EQ(dict->tensors[0].second.shape, (std::vector<int64_t>{2, 3}));
}

TEST(TorchPickle, ParametersAreTheirTensors) {
  const struct {
    const char* function;
    const char* more;
  } cases[] = {{"_rebuild_parameter", ""},
               {"_rebuild_parameter_with_state", "}"}};
  for (const auto& test : cases) {
    const auto dict = Read(DictOfW()
                               .Global("torch._utils", test.function)
                               .Mark()
                               .Tensor("FloatStorage", "0", 6, 0, {6}, {1})
                               .Raw("\x88")
                               .OrderedDict()
                               .Raw(test.more)
                               .Raw("tRs")
                               .Stop());
    ASSERT_TRUE(dict.ok()) << dict.status();
    EXPECT_EQ(dict->tensors[0].second.shape, (std::vector<int64_t>{6}));
  }
}

TEST(TorchPickle, StorageClassesOfCpuAndGpu) {
  for (const char* module : {"torch", "torch.cuda"}) {
    TorchPickleHost host;
    for (const char* type :
         {"FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage",
          "LongStorage", "IntStorage", "ShortStorage", "CharStorage",
          "ByteStorage", "BoolStorage", "ComplexFloatStorage"}) {
      EXPECT_TRUE(host.FindGlobal(module, type).ok()) << module << type;
    }
  }
}

TEST(TorchPickle, EverythingElseIsRefusedByName) {
  const char* cases[][2] = {
      {"os", "system"},
      {"posix", "system"},
      {"builtins", "eval"},
      {"builtins", "exec"},
      {"__builtin__", "getattr"},
      {"subprocess", "Popen"},
      {"numpy.core.multiarray", "_reconstruct"},
      {"torch", "load"},
      {"torch", "ComplexDoubleStorage"},
      {"torch", "QInt8Storage"},
      {"torch.cuda", "float32"},
      {"torch.cuda", "_rebuild_tensor_v2"},
      {"torch._utils", "_rebuild_qtensor"},
      {"torch._utils", "_rebuild_sparse_tensor"},
      {"torch._tensor", "_rebuild_from_type_v2"},
      {"torch.nn.parameter", "Parameter"},
      {"collections", "Counter"},
      {"collections.OrderedDict", ""},
      {"", ""},
  };
  for (const auto& test : cases) {
    ExpectError(PickleBuilder().Global(test[0], test[1]).Stop(),
                "PICKLE_REFUSED",
                absl::StrCat("global \"", test[0], ".", test[1], "\""));
  }
}

TEST(TorchPickle, NamesInMessagesAreQuoted) {
  ExpectError(PickleBuilder().Global("a\x1b\xff", "b").Stop(), "PICKLE_REFUSED",
              "global \"a\\x1b\\xff.b\"");
}

TEST(TorchPickle, ClassesAreNotCalled) {
  ExpectError(PickleBuilder().Global("torch", "FloatStorage").Raw(")R").Stop(),
              "PICKLE_REFUSED", "refused call of torch.FloatStorage");
  ExpectError(PickleBuilder().Global("torch", "float32").Raw(")R").Stop(),
              "PICKLE_REFUSED", "refused call of torch.float32");
}

TEST(TorchPickle, BadArgumentsOfRebuild) {
  ExpectBroken(Rebuild("_rebuild_tensor_v2", "FloatStorage", "NNNNN"),
               "has 9 arguments");
  ExpectBroken(Rebuild("_rebuild_tensor_v3", "UntypedStorage", "NN"),
               "has 6 arguments");
  ExpectBroken(Rebuild("_rebuild_tensor_v3", "UntypedStorage", "NNN"),
               "has no dtype");
  ExpectBroken(Rebuild("_rebuild_tensor_v2", "UntypedStorage", "NN"),
               "untyped storage");
  ExpectBroken(
      DictOfW().Global("torch._utils", "_rebuild_tensor").Raw(")Rs").Stop(),
      "has 0 arguments");
  ExpectBroken(DictOfW()
                   .Global("torch._utils", "_rebuild_tensor")
                   .Raw("(NNNNtRs")
                   .Stop(),
               "needs a storage");
}

TEST(TorchPickle, FlagsThatChangeValuesAreRefused) {
  const std::string conjugated = absl::StrCat(
      "NN}", PickleBuilder().String("conj").Raw("\x88s").Stop().substr(2));
  ExpectBroken(Rebuild("_rebuild_tensor_v2", "ComplexFloatStorage",
                       conjugated.substr(0, conjugated.size() - 1)),
               "flags");
  ExpectBroken(Rebuild("_rebuild_tensor_v2", "FloatStorage", "NN]"), "flags");
}

// A tensor whose size and strides are these opcodes.
std::string WithSizes(absl::string_view sizes, absl::string_view strides) {
  return DictOfW()
      .Global("torch._utils", "_rebuild_tensor")
      .Mark()
      .Storage("FloatStorage", "0", 6)
      .Int(0)
      .Raw(sizes)
      .Raw(strides)
      .Raw("tRs")
      .Stop();
}

TEST(TorchPickle, BadSizes) {
  ExpectBroken(WithSizes("]", ")"), "needs a tuple");
  ExpectBroken(WithSizes(")", "N"), "needs a tuple");
  ExpectBroken(WithSizes("N\x85", "N\x85"), "has None among its sizes");
  ExpectBroken(WithSizes("K\x01\x85", ")"), "different lengths");
  ExpectBroken(WithSizes(absl::StrCat("(", std::string(65, 'N'), "t"), ")"),
               "at most 64 numbers");
  const std::string big = "\x8a\x09" + LittleEndian(1, 9) + "\x85";
  ExpectBroken(WithSizes(big, big), "has an int among its sizes");
}

TEST(TorchPickle, BadParameters) {
  const PickleBuilder parameter =
      DictOfW().Global("torch._utils", "_rebuild_parameter");
  ExpectBroken(PickleBuilder(parameter).Raw(")Rs").Stop(), "needs a tensor");
  ExpectBroken(PickleBuilder(parameter).Raw("NNN\x87Rs").Stop(),
               "needs a tensor");
}

TEST(TorchPickle, OrderedDictTakesNoArguments) {
  ExpectBroken(
      PickleBuilder().Global("collections", "OrderedDict").Raw("]\x85R").Stop(),
      "has arguments");
  ExpectBroken(PickleBuilder().Global("torch", "Size").Raw(")R").Stop(),
               "needs one tuple");
}

TEST(TorchPickle, BadPersistentIds) {
  const auto with_id = [](absl::string_view opcodes) {
    return PickleBuilder().Raw(opcodes).Raw("Q").Stop();
  };
  const std::string text = "X" + LittleEndian(1, 4) + "0";
  const std::string tag = "X" + LittleEndian(7, 4) + "storage";
  const std::string type = "ctorch\nFloatStorage\n";
  ExpectBroken(with_id("N"), "not the tuple");
  ExpectBroken(with_id("NNN\x87"), "not the tuple");
  ExpectBroken(with_id("(NNNNNt"), "not that of a storage");
  ExpectBroken(with_id("(" + text + "NNNNt"), "not that of a storage");
  ExpectBroken(with_id("(" + tag + "NNNNt"), "no storage class");
  ExpectBroken(with_id("(" + tag + "ctorch\nfloat32\nNNNt"), "storage class");
  ExpectBroken(with_id("(" + tag + type + "NNNt"), "no key");
  ExpectBroken(with_id("(" + tag + type + text + text + "Nt"), "or size");
  ExpectBroken(with_id("(" + tag + type + text + text + "J\xff\xff\xff\xfft"),
               "size");
  ExpectBroken(with_id("(" + tag + type + text + text + "K\x06)t"),
               "view of a storage");
}

TEST(TorchPickle, StorageMustBeDescribedOnce) {
  const auto two = [](absl::string_view type, int64_t count) {
    return PickleBuilder()
        .Dict()
        .String("a")
        .Tensor("FloatStorage", "0", 6, 0, {3}, {1})
        .Raw("s")
        .String("b")
        .Tensor(type, "0", count, 0, {3}, {1})
        .Raw("s")
        .Stop();
  };
  ExpectBroken(two("FloatStorage", 7), "storage \"0\" is described in two");
  ExpectBroken(two("IntStorage", 6), "storage \"0\" is described in two");
}

TEST(TorchPickle, OnlyADictOfTensorsIsAStateDict) {
  ExpectBroken(PickleBuilder().Raw("]").Stop(), "holds a list");
  ExpectBroken(PickleBuilder().Raw("N").Stop(), "holds None");
  ExpectBroken(
      PickleBuilder().Tensor("FloatStorage", "0", 6, 0, {6}, {1}).Stop(),
      "holds a tensor");
  ExpectBroken(DictOfW().Int(3).Raw("s").Stop(),
               "entry \"w\" is an int, expected a tensor");
  ExpectBroken(DictOfW().Dict().Raw("s").Stop(), "entry \"w\" is a dict");
  ExpectBroken(PickleBuilder().Dict().Int(1).Int(2).Raw("s").Stop(),
               "an int as a key");
  EXPECT_TRUE(Read(PickleBuilder().Dict().Stop()).ok());
}

std::string Named(absl::string_view first, absl::string_view second) {
  return PickleBuilder()
      .Dict()
      .String(first)
      .Tensor("FloatStorage", "0", 6, 0, {6}, {1})
      .Raw("s")
      .String(second)
      .Tensor("FloatStorage", "0", 6, 0, {6}, {1})
      .Raw("s")
      .Stop();
}

TEST(TorchPickle, NamesMustBeText) {
  ExpectBroken(Named("a", ""), "tensor name \"\"");
  ExpectBroken(Named("a", "\xff"), "tensor name \"\\xff\"");
  ExpectBroken(Named("a", absl::string_view("b\0", 2)), "tensor name \"b\\x00");
  ExpectBroken(Named("a", "a"), "tensor \"a\" appears twice");
}

}  // namespace
}  // namespace peft
