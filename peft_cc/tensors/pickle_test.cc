#include "peft_cc/tensors/pickle.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/test_files.h"

namespace peft {
namespace {

using Kind = PickleValue::Kind;

// Knows the global "ok.ok", whose call gives its arguments, and lets every
// persistent id stand for itself.
class TestHost : public PickleHost {
 public:
  absl::StatusOr<PickleValue> FindGlobal(absl::string_view module,
                                         absl::string_view name) override {
    if (module == "ok" && name == "ok") return PickleValue{Kind::kGlobal};
    return PickleRefusedError(absl::StrCat("no ", module, ".", name));
  }
  absl::StatusOr<PickleRef> Call(PickleHeap&, PickleRef,
                                 PickleRef arguments) override {
    return arguments;
  }
  absl::StatusOr<PickleRef> LoadPersistent(PickleHeap&, PickleRef id) override {
    return id;
  }
};

// `ref` as Python's repr would show it, to a depth of three.
std::string Show(const PickleHeap& heap, PickleRef ref, int depth = 3) {
  const PickleValue& value = heap.Get(ref);
  if (depth == 0) return "...";
  switch (value.kind) {
    case Kind::kBool:
      return value.number == 1 ? "True" : "False";
    case Kind::kInt:
      return absl::StrCat(value.number);
    case Kind::kString:
      return absl::StrCat("'", value.text, "'");
    case Kind::kTuple:
    case Kind::kList:
    case Kind::kDict: {
      std::string items;
      for (PickleRef item : value.items) {
        absl::StrAppend(&items, items.empty() ? "" : ", ",
                        Show(heap, item, depth - 1));
      }
      const char* brackets = value.kind == Kind::kTuple  ? "()"
                             : value.kind == Kind::kList ? "[]"
                                                         : "{}";
      return absl::StrCat(std::string(1, brackets[0]), items,
                          std::string(1, brackets[1]));
    }
    default:
      return std::string(PickleKindName(value.kind));
  }
}

absl::StatusOr<std::string> Interpret(absl::string_view pickle) {
  const Bytes bytes = ToBytes(pickle);
  ByteReader reader(bytes.data);
  TestHost host;
  PickleHeap heap;
  PEFT_ASSIGN_OR_RETURN(const PickleRef root, RunPickle(reader, host, heap));
  return Show(heap, root);
}

// The value of the opcodes in `body`, between PROTO and STOP.
std::string Value(absl::string_view body) {
  const auto value = Interpret(PickleBuilder().Raw(body).Stop());
  return value.ok() ? *value : value.status().ToString();
}

std::string Bin(absl::string_view opcode, uint64_t value, int size) {
  return absl::StrCat(opcode, LittleEndian(value, size));
}

void ExpectError(absl::string_view pickle, absl::string_view id,
                 absl::string_view part) {
  const absl::Status status = Interpret(pickle).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_EQ(ErrorId(status), id) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

void ExpectBroken(absl::string_view body, absl::string_view part) {
  ExpectError(PickleBuilder().Raw(body).Stop(), "TORCH_FILE", part);
}

TEST(Pickle, Constants) {
  EXPECT_EQ(Value("N"), "None");
  EXPECT_EQ(Value("\x88"), "True");
  EXPECT_EQ(Value("\x89"), "False");
  EXPECT_EQ(Value(Bin("G", 0, 8)), "a float");
}

TEST(Pickle, Integers) {
  EXPECT_EQ(Value(Bin("K", 255, 1)), "255");
  EXPECT_EQ(Value(Bin("M", 65535, 2)), "65535");
  EXPECT_EQ(Value(Bin("J", 0xfffffffe, 4)), "-2");
  EXPECT_EQ(Value(Bin("\x8a", 0, 1)), "0");
  EXPECT_EQ(Value(Bin("\x8a", 0xff01, 2)), "-1");
  EXPECT_EQ(Value(Bin("\x8a", 0x00ff02, 3)), "255");
  EXPECT_EQ(Value(Bin("\x8a\x08", 1ull << 63, 8)), "-9223372036854775808");
  EXPECT_EQ(Value(Bin("\x8a\x09", 1, 9)), "an int");
}

TEST(Pickle, Strings) {
  EXPECT_EQ(Value(Bin("X", 2, 4) + "ab"), "'ab'");
  EXPECT_EQ(Value(Bin("U", 2, 1) + "ab"), "'ab'");
  EXPECT_EQ(Value(Bin("T", 2, 4) + "ab"), "'ab'");
  EXPECT_EQ(Value(Bin("\x8c", 2, 1) + "ab"), "'ab'");
  EXPECT_EQ(Value(Bin("\x8d", 2, 8) + "ab"), "'ab'");
  EXPECT_EQ(Value(Bin("X", 0, 4)), "''");
}

TEST(Pickle, Containers) {
  EXPECT_EQ(Value(")"), "()");
  EXPECT_EQ(Value("N\x85"), "(None)");
  EXPECT_EQ(Value("N\x88\x86"), "(None, True)");
  EXPECT_EQ(Value("N\x88\x89\x87"), "(None, True, False)");
  EXPECT_EQ(Value("(N(N\x88t\x89t"), "(None, (None, True), False)");
  EXPECT_EQ(Value("]Na"), "[None]");
  EXPECT_EQ(Value("](N\x88"
                  "e"),
            "[None, True]");
  EXPECT_EQ(Value("}N\x88s"), "{None, True}");
  EXPECT_EQ(Value("}(N\x88\x89Nu"), "{None, True, False, None}");
}

TEST(Pickle, Memo) {
  EXPECT_EQ(Value("Nq\x07\x88h\x07\x87"), "(None, True, None)");
  EXPECT_EQ(Value(absl::StrCat("N", Bin("r", 70000, 4), "\x88",
                               Bin("j", 70000, 4), "\x87")),
            "(None, True, None)");
  EXPECT_EQ(Value("N\x94\x88\x94h\x01\x87"), "(None, True, True)");
}

TEST(Pickle, CyclesDoNoHarm) {
  EXPECT_EQ(Value("]q\x01h\x01"
                  "a"),
            "[[[...]]]");
  EXPECT_EQ(Value("}q\x01h\x01h\x01s"),
            "{{{..., ...}, {..., ...}}, "
            "{{..., ...}, {..., ...}}}");
}

TEST(Pickle, GlobalsAndCalls) {
  EXPECT_EQ(Value("cok\nok\n"), "a global");
  EXPECT_EQ(Value("cok\nok\nN\x85R"), "(None)");
  EXPECT_EQ(
      Value(absl::StrCat(Bin("\x8c", 2, 1), "ok", Bin("\x8c", 2, 1), "ok\x93")),
      "a global");
  EXPECT_EQ(Value("NQ"), "None");
}

TEST(Pickle, Frames) {
  EXPECT_EQ(Value(Bin("\x95", 2, 8) + "N"), "None");
  ExpectBroken(Bin("\x95", 3, 8) + "N", "ends in the middle");
  ExpectBroken(Bin("\x95", UINT64_MAX, 8) + "N", "ends in the middle");
}

TEST(Pickle, ProtocolsTwoToFive) {
  for (int protocol : {2, 3, 4, 5}) {
    EXPECT_TRUE(Interpret(PickleBuilder(protocol).Raw("N").Stop()).ok());
  }
  for (int protocol : {0, 1, 6, 255}) {
    ExpectError(PickleBuilder(protocol).Raw("N").Stop(), "TORCH_FILE",
                absl::StrCat("has protocol ", protocol));
  }
  ExpectError("N.", "TORCH_FILE", "does not start with a protocol");
  ExpectError("", "TORCH_FILE", "does not start with a protocol");
}

TEST(Pickle, ReaderEndsBehindThePickle) {
  const Bytes bytes = ToBytes(PickleBuilder().Raw("N").Stop() + "rest");
  ByteReader reader(bytes.data);
  TestHost host;
  PickleHeap heap;
  ASSERT_TRUE(RunPickle(reader, host, heap).ok());
  EXPECT_EQ(reader.remaining(), 4u);
}

// All opcodes of pickletools that are not in the set, and a few that do not
// exist.
TEST(Pickle, OtherOpcodesAreRefusedByName) {
  const struct {
    int code;
    const char* name;
  } cases[] = {
      {'0', "POP"},          {'1', "POP_MARK"},
      {'2', "DUP"},          {'F', "FLOAT"},
      {'I', "INT"},          {'L', "LONG"},
      {0x8b, "LONG4"},       {'P', "PERSID"},
      {'S', "STRING"},       {'V', "UNICODE"},
      {'B', "BINBYTES"},     {'C', "SHORT_BINBYTES"},
      {0x8e, "BINBYTES8"},   {0x96, "BYTEARRAY8"},
      {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
      {'d', "DICT"},         {'l', "LIST"},
      {'g', "GET"},          {'p', "PUT"},
      {'i', "INST"},         {'o', "OBJ"},
      {0x81, "NEWOBJ"},      {0x92, "NEWOBJ_EX"},
      {0x82, "EXT1"},        {0x83, "EXT2"},
      {0x84, "EXT4"},        {0x8f, "EMPTY_SET"},
      {0x90, "ADDITEMS"},    {0x91, "FROZENSET"},
      {0x00, "unknown"},     {0xff, "unknown"},
      {'Z', "unknown"},
  };
  for (const auto& test : cases) {
    const std::string opcode(1, static_cast<char>(test.code));
    ExpectError(PickleBuilder().Raw("(NN").Raw(opcode).Stop(), "PICKLE_REFUSED",
                absl::StrCat("(", test.name, ") at byte 5"));
  }
}

TEST(Pickle, RefusedGlobalsStopAtOnce) {
  ExpectError(PickleBuilder().Global("os", "system").Stop(), "PICKLE_REFUSED",
              "no os.system");
}

TEST(Pickle, BuildOnlyOnOrderedDict) {
  ExpectError(PickleBuilder().Raw("}Nb").Stop(), "PICKLE_REFUSED",
              "BUILD on a dict");
  ExpectError(PickleBuilder().Raw("cok\nok\nNb").Stop(), "PICKLE_REFUSED",
              "BUILD on a global");
}

TEST(Pickle, TooFewValuesAreNoticed) {
  for (const char* body :
       {"", "\x85", "N\x86", "NN\x87", "a", "Na", "s", "}Ns", "q\x01", "\x94",
        "R", "NR", "\x93", "Nb", "Q", "N(\x85", "N(q\x01", "N(NQ(Q", "]N(a"}) {
    ExpectBroken(body, "pickle ");
  }
}

TEST(Pickle, MarksAreNeeded) {
  for (const char* body : {"t", "Nt", "]Ne", "}NNu"}) {
    ExpectBroken(body, "no mark");
  }
  ExpectBroken("(N", "ends with 1 values and 1 open marks");
  ExpectBroken("NN", "ends with 2 values");
  ExpectBroken(
      "(N\x88"
      "e",
      "takes more values");
}

TEST(Pickle, DepthOfMarksIsBounded) {
  ExpectBroken(std::string(65, '('), "deeper than 64");
}

TEST(Pickle, ContainersMustFit) {
  ExpectBroken("NNa", "appends to None, not a list");
  ExpectBroken(")Na", "appends to a tuple");
  ExpectBroken("NNNs", "sets items of None");
  ExpectBroken("]NNs", "sets items of a list");
  ExpectBroken("}(Nu", "key without a value");
}

TEST(Pickle, CallsNeedGlobalAndTuple) {
  ExpectBroken("N)R", "calls None with a tuple");
  ExpectBroken("cok\nok\n]R", "with a list");
  ExpectBroken("NN\x93", "no string");
}

TEST(Pickle, UnknownMemoIsNoticed) {
  ExpectBroken("h\x01", "gets memo 1");
  ExpectBroken(Bin("j", 1, 4), "gets memo 1");
}

TEST(Pickle, NumberOfValuesIsBounded) {
  ExpectBroken(std::string((4 << 20) + 1, 'N'), "more than 4194304 values");
}

TEST(Pickle, LongStringsMustBeThere) {
  ExpectBroken(Bin("X", 0xffffffff, 4), "ends in the middle");
  ExpectBroken(Bin("\x8d", UINT64_MAX, 8), "ends in the middle");
  ExpectBroken("cmodule without end", "ends in the middle");
}

TEST(Pickle, PickleCutAtAnyByteIsRefused) {
  const std::string whole =
      PickleBuilder(4)
          .Raw(Bin("\x95", 1, 8))
          .Raw("}(")
          .String("key")
          .Raw("\x94")
          .Int(-7)
          .Raw(absl::StrCat(Bin("M", 300, 2), Bin("J", 1, 4), "\x86"))
          .Raw("cok\nok\n)R")
          .Raw(Bin("r", 5, 4))
          .Raw("u")
          .Stop();
  ASSERT_TRUE(Interpret(whole).ok()) << Interpret(whole).status();
  for (size_t size = 0; size < whole.size(); ++size) {
    ExpectError(whole.substr(0, size), "TORCH_FILE", "pickle ");
  }
}

TEST(Pickle, AnyChangedByteIsHandled) {
  const std::string whole = OneTensorPickle();
  for (size_t i = 0; i < whole.size(); ++i) {
    for (int value = 0; value < 256; value += 3) {
      std::string changed = whole;
      changed[i] = static_cast<char>(value);
      (void)Interpret(changed);  // a sanitizer watches
    }
  }
}

}  // namespace
}  // namespace peft
