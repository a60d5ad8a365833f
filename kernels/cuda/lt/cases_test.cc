// Holds the fake, and the real library where there is a GPU, to the table of
// what is accepted (testing/fake_cublaslt/cases.txt).
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/lt/abi.h"
#include "kernels/cuda/lt/testing/test_device.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr char kTable[] = "testing/fake_cublaslt/cases.txt";
// Larger than any operand of the table.
constexpr int64_t kOperandBytes = 64 << 10;

// The case that all others are variants of.
std::map<std::string, int64_t> BaseCase() {
  std::map<std::string, int64_t> values = {
      {"align", 16},          {"compute", 68},
      {"scale", 0},           {"pointer_mode", 0},
      {"epilogue", 1},        {"bias_type", -1},
      {"trans_a", 1},         {"trans_b", 0},
      {"trans_c", 0},         {"bias", 0},
      {"in_place", 0},        {"overlap", 0},
      {"workspace", 1 << 20}, {"max_workspace", 1 << 20},
      {"groups", 0},          {"strided_a", 0}};
  const std::map<std::string, std::pair<int64_t, int64_t>> shapes = {
      {"a", {64, 32}}, {"b", {64, 8}}, {"c", {32, 8}}, {"d", {32, 8}}};
  for (const auto& shape : shapes) {
    const std::string name = shape.first + ".";
    values[name + "type"] = 14;
    values[name + "order"] = 0;
    values[name + "rows"] = shape.second.first;
    values[name + "cols"] = shape.second.second;
    values[name + "ld"] = shape.second.first;
    values[name + "batch"] = 1;
    values[name + "stride"] = 0;
    values[name + "offset"] = 0;
  }
  return values;
}

struct Case {
  std::string verdict;
  std::string name;
  std::map<std::string, int64_t> values = BaseCase();
};

Case ParseCase(const std::string& line) {
  std::istringstream words(line);
  Case result;
  words >> result.verdict >> result.name;
  std::string word;
  while (words >> word) {
    const size_t equals = word.find('=');
    const auto value = result.values.find(word.substr(0, equals));
    if (equals == std::string::npos || value == result.values.end()) {
      ADD_FAILURE() << line << ": " << word << " is no key and value";
      continue;
    }
    value->second = std::atoll(word.c_str() + equals + 1);
  }
  return result;
}

std::vector<Case> ReadCases() {
  std::ifstream file(kTable);
  EXPECT_TRUE(file) << kTable;
  std::vector<Case> cases;
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty() && line[0] != '#') cases.push_back(ParseCase(line));
  }
  return cases;
}

// One case on one device: each call of the library, as far as they succeed.
class Attempt {
 public:
  Attempt(TestDevice* device, const Case& one)
      : device_(device), lt_(device->library()), case_(one) {}

  // Whether the library has computed it.
  bool IsAccepted() {
    LtHeuristicResult result = {};
    return Describe() && Choose(&result) && Run(result);
  }

 private:
  int64_t Value(const std::string& key) const { return case_.values.at(key); }

  // Of groups: an array of the same number for each, in device memory.
  DevicePtr Array(int64_t number) {
    const std::vector<int64_t> numbers(Value("groups"), number);
    const auto bytes = static_cast<int64_t>(sizeof(number) * numbers.size());
    const DevicePtr array = device_->Allocate(bytes);
    device_->Write(array, numbers.data(), bytes);
    return array;
  }
  // What a product is given of an operand: its address, or the groups'.
  void* Given(DevicePtr address) {
    if (Value("groups") == 0) return Pointer(address);
    return Pointer(Array(static_cast<int64_t>(address)));
  }

  bool DescribeGroups(const std::string& key, LtMatrixLayout* layout) {
    if (!device_->library().has_grouped()) return false;
    const auto order = static_cast<int32_t>(Value(key + "order"));
    const LtIntegerWidth width = LtIntegerWidth::k64;
    bool set = lt_->cublasLtGroupedMatrixLayoutInit_internal(
                   layout, sizeof(*layout),
                   static_cast<LtDataType>(Value(key + "type")),
                   static_cast<int>(Value("groups")),
                   Pointer(Array(Value(key + "rows"))),
                   Pointer(Array(Value(key + "cols"))),
                   Pointer(Array(Value(key + "ld")))) == kLtSuccess &&
               lt_->cublasLtMatrixLayoutSetAttribute(
                   layout, LtLayoutAttribute::kOrder, &order, sizeof(order)) ==
                   kLtSuccess;
    for (auto attribute :
         {LtLayoutAttribute::kSizesWidth, LtLayoutAttribute::kLdWidth}) {
      set = set && lt_->cublasLtMatrixLayoutSetAttribute(
                       layout, attribute, &width, sizeof(width)) == kLtSuccess;
    }
    return set;
  }

  bool DescribeMatrix(const std::string& name, LtMatrixLayout* layout) {
    const std::string key = name + ".";
    const bool strided = name == "a" && Value("strided_a") != 0;
    if (Value("groups") != 0 && !strided) return DescribeGroups(key, layout);
    const auto order = static_cast<int32_t>(Value(key + "order"));
    const auto batch = static_cast<int32_t>(Value(key + "batch"));
    const int64_t stride = Value(key + "stride");
    return lt_->cublasLtMatrixLayoutInit_internal(
               layout, sizeof(*layout),
               static_cast<LtDataType>(Value(key + "type")),
               Value(key + "rows"), Value(key + "cols"),
               Value(key + "ld")) == kLtSuccess &&
           lt_->cublasLtMatrixLayoutSetAttribute(
               layout, LtLayoutAttribute::kOrder, &order, sizeof(order)) ==
               kLtSuccess &&
           lt_->cublasLtMatrixLayoutSetAttribute(
               layout, LtLayoutAttribute::kBatchCount, &batch, sizeof(batch)) ==
               kLtSuccess &&
           lt_->cublasLtMatrixLayoutSetAttribute(
               layout, LtLayoutAttribute::kStridedBatchOffset, &stride,
               sizeof(stride)) == kLtSuccess;
  }

  template <typename T>
  bool SetDesc(LtDescAttribute attribute, T value) {
    return lt_->cublasLtMatmulDescSetAttribute(&desc_, attribute, &value,
                                               sizeof(value)) == kLtSuccess;
  }
  bool SetDesc(LtDescAttribute attribute, const char* key) {
    return SetDesc(attribute, static_cast<int32_t>(Value(key)));
  }

  // Memory that lies `offset` bytes behind a multiple of 256, full of zeros.
  DevicePtr Operand(int64_t offset) {
    const DevicePtr data = device_->Allocate(kOperandBytes + offset);
    const std::vector<char> zeros(kOperandBytes + offset);
    device_->Write(data, zeros.data(), zeros.size());
    return data + offset;
  }

  bool Describe() {
    if (!DescribeMatrix("a", &a_) || !DescribeMatrix("b", &b_) ||
        !DescribeMatrix("c", &c_) || !DescribeMatrix("d", &d_) ||
        lt_->cublasLtMatmulDescInit_internal(
            &desc_, sizeof(desc_), static_cast<LtCompute>(Value("compute")),
            static_cast<LtDataType>(Value("scale"))) != kLtSuccess) {
      return false;
    }
    const int64_t bias = Value("bias");
    const DevicePtr bias_data = bias == 0 ? 0 : Operand(bias);
    return SetDesc(LtDescAttribute::kTransA, "trans_a") &&
           SetDesc(LtDescAttribute::kTransB, "trans_b") &&
           SetDesc(LtDescAttribute::kTransC, "trans_c") &&
           SetDesc(LtDescAttribute::kPointerMode, "pointer_mode") &&
           SetDesc(LtDescAttribute::kEpilogue, "epilogue") &&
           SetDesc(LtDescAttribute::kBiasDataType, "bias_type") &&
           SetDesc(LtDescAttribute::kBiasPointer, bias_data);
  }

  template <typename T>
  bool SetPreference(LtPreferenceAttribute attribute, T value) {
    return lt_->cublasLtMatmulPreferenceSetAttribute(
               &preference_, attribute, &value, sizeof(value)) == kLtSuccess;
  }

  bool Choose(LtHeuristicResult* result) {
    const auto align = static_cast<uint32_t>(Value("align"));
    bool set = lt_->cublasLtMatmulPreferenceInit_internal(
                   &preference_, sizeof(preference_)) == kLtSuccess;
    for (auto attribute : {LtPreferenceAttribute::kMinAlignmentA,
                           LtPreferenceAttribute::kMinAlignmentB,
                           LtPreferenceAttribute::kMinAlignmentC,
                           LtPreferenceAttribute::kMinAlignmentD}) {
      set = set && SetPreference(attribute, align);
    }
    set = set && SetPreference(LtPreferenceAttribute::kMaxWorkspaceBytes,
                               static_cast<uint64_t>(Value("max_workspace")));
    int found = 0;
    return set &&
           lt_->cublasLtMatmulAlgoGetHeuristic(
               device_->handle().get(), &desc_, &a_, &b_, &c_, &d_,
               &preference_, 1, result, &found) == kLtSuccess &&
           found == 1 && result->state == kLtSuccess;
  }

  bool Run(const LtHeuristicResult& result) {
    const float one = 1;
    const float zero = 0;
    const void* alpha = &one;
    const void* beta = &zero;
    const int64_t mode = Value("pointer_mode");
    if (mode != 0) {
      alpha = Pointer(PutFloats(device_, std::vector<float>(64, 1.0f)));
    }
    if (mode == 1) beta = Pointer(device_->stream().zero_one);
    const DevicePtr a = Operand(Value("a.offset"));
    const DevicePtr b = Operand(Value("b.offset"));
    const DevicePtr d = Value("overlap") == 1 ? a : Operand(Value("d.offset"));
    const DevicePtr c = Value("in_place") == 1 ? d : Operand(Value("c.offset"));
    const bool ran =
        lt_->cublasLtMatmul(
            device_->handle().get(), &desc_, alpha, Given(a), &a_, Given(b),
            &b_, beta, Given(c), &c_, Given(d), &d_, &result.algo,
            Pointer(device_->stream().workspace), Value("workspace"),
            device_->stream().stream) == kLtSuccess;
    const Driver& driver = device_->driver();
    return driver->cuStreamSynchronize(device_->stream().stream) == kSuccess &&
           ran && !HasDefects();
  }

  // What the fake finds when it multiplies.
  bool HasDefects() {
    FakeCuda* const fake = device_->fake_cuda();
    return fake != nullptr && !fake->TakeDefects().empty();
  }

  static void* Pointer(DevicePtr address) {
    return reinterpret_cast<void*>(address);
  }

  TestDevice* const device_;
  const LtLibrary& lt_;
  const Case& case_;
  LtMatrixLayout a_ = {};
  LtMatrixLayout b_ = {};
  LtMatrixLayout c_ = {};
  LtMatrixLayout d_ = {};
  LtMatmulDesc desc_ = {};
  LtPreference preference_ = {};
};

TEST(CasesTest, TheFakeAnswersAsTheTableSays) {
  auto settings = TestDevice::FakeSettings();
  settings.version = 130400;  // one that has all of the table
  const auto device = TestDevice::Fake({}, settings);
  const std::vector<Case> cases = ReadCases();
  EXPECT_GT(cases.size(), 50u);
  for (const Case& one : cases) {
    const bool expected = one.verdict == "accept" || one.verdict == "ask";
    EXPECT_TRUE(expected || one.verdict == "reject" || one.verdict == "strict")
        << one.verdict;
    EXPECT_EQ(Attempt(device.get(), one).IsAccepted(), expected)
        << one.name << ": " << device->fake()->reason();
  }
}

TEST(CasesTest, TheRealLibraryAnswersAsTheTableSays) {
  const auto device = TestDevice::Gpu();
  if (!device.ok()) GTEST_SKIP() << "no GPU: " << device.status();
  for (const Case& one : ReadCases()) {
    // A pointer that only the fake finds wrong could end the process's context.
    if (one.verdict == "strict") continue;
    const bool accepted = Attempt(device->get(), one).IsAccepted();
    if (one.verdict == "ask") {
      RecordProperty(one.name, accepted ? "accepted" : "refused");
    } else {
      EXPECT_EQ(accepted, one.verdict == "accept") << one.name;
    }
  }
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
