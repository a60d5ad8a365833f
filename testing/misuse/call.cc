#include "testing/misuse/call.h"

#include <cmath>
#include <limits>

#include "peft_c/failing_allocations.h"
#include "testing/misuse/handle_kinds.h"
#include "testing/misuse/tables.h"

namespace peft {
namespace {

// What nobody initialised.
constexpr char kDirt = '\xa5';

// Of the tensors and layers that the fixtures have, or that runs make.
constexpr const char* kNames[] = {
    "a",  "b",   "default",   "fc",
    "pe", "emb", "fc.weight", "model.layers.0.self_attn.q_proj",
    "a",  "b",   "lm_head",   "base_model.model.fc.lora_A.weight",
    "c",  "",    "__base__",  "base_model.model.fc.lora_B.weight",
};

// Folders and files to read. Hub ids are among them; there is no Hub.
constexpr const char* kPaths[] = {
    "llama",          "llama",   "gpt2",  "bert",
    "lora",           "lora",    "lora",  "gpt2_lora",
    "out/a",          "out/b",   "out/c", "lora/adapter_model.safetensors",
    "no/such",        "owner/x", ".",     "llama/model.safetensors",
    "no/such/folder", "",        "../..", "lora/adapter_config.json",
};

// What is written goes nowhere else.
constexpr const char* kNewPaths[] = {
    "out/a", "out/b", "out/c", "out", "out/no/such", "", "out/a/b",
};

// The first is that of the state dict that runs make.
constexpr const char* kConfigs[] = {
    R"({"peft_type": "LORA", "r": 2, "target_modules": ["fc", "q_proj"]})",
    R"({"peft_type": "LORA", "r": 2, "target_modules": ["fc"]})",
    R"({"peft_type": "LORA", "r": 2, "target_modules": ["fc"]})",
    R"({"peft_type": "LORA", "r": 3, "target_modules": "all-linear"})",
    R"({"peft_type": "LORA", "r": 1, "target_modules": ["fc", "v_proj"],
        "use_dora": true, "lora_alpha": 1e30})",
    R"({"peft_type": "LORA", "target_modules": ["emb"], "bias": "all"})",
    R"({"peft_type": "LORA", "target_parameters": ["pe"]})",
    R"({"peft_type": "LORA", "target_modules": ".*(", "r": 2})",
    R"({"peft_type": "LORA", "r": -1, "target_modules": ["fc"]})",
    R"({"peft_type": "LORA", "r": 4611686018427387904,
        "target_modules": ["fc", "q_proj"]})",
    R"({"peft_type": "ADALORA", "total_step": 3, "target_modules": ["fc"]})",
    R"({"peft_type": "IA3", "target_modules": ["fc", "k_proj"],
        "feedforward_modules": ["fc"]})",
    R"({"peft_type": "LOHA"})",
    R"({"peft_type": 7, "r": [], "target_modules": {}})",
    "{}",
    "",
    "[[[[",
    "null",
    "{\"peft_type\": \"\\ud800\"}",
};

constexpr const char* kBadTexts[] = {
    "caf\xe9", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xff\n",
};

constexpr const char* kOddTexts[] = {
    "", "a\nb\x01", "%s%n", "\xf0\x9f\x99\x82", "..", "a/b", "main", "a b",
};

}  // namespace

Call::Call(Run& run, const char* function) : run_(run), function_(function) {}

Call::~Call() {
  if (!keep_memory_) return;
  for (std::unique_ptr<char[]>& memory : memory_) run_.Keep(std::move(memory));
}

char* Call::Allocate(size_t size) {
  memory_.emplace_back(new char[size]);
  char* const memory = memory_.back().get();
  std::memset(memory, kDirt, size);
  return memory;
}

// -- Handles ------------------------------------------------------------------

void* Call::DrawHandle(const char* name, size_t kind) {
  void* handle = run_.PoolOf(kind).Live(kind, random());
  if (handle == nullptr || random().Percent(15)) handle = DrawBadHandle(kind);
  if (run_.is_concurrent() && HandleInfos()[kind].is_thread_safe) {
    uses_shared_ = true;
  }
  Note(absl::StrCat(name, "=", HandleInfos()[kind].name, ":",
                    absl::Hex(reinterpret_cast<uintptr_t>(handle)), " "));
  return handle;
}

void* Call::DrawBadHandle(size_t kind) {
  const size_t other = random().Below(HandleInfos().size());
  switch (random().Below(6)) {
    case 0:
      return nullptr;
    case 1:
      return run_.PoolOf(kind).Dead(kind, random());
    case 2:
      return run_.PoolOf(other).Live(other, random());
    case 3:
      return run_.PoolOf(other).Dead(other, random());
    case 4: {
      // One bit of a good one is wrong.
      void* const good = run_.PoolOf(kind).Live(kind, random());
      return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(good) ^
                                     uintptr_t{1} << random().Below(64));
    }
    default:
      return reinterpret_cast<void*>(random().Next());
  }
}

// -- Numbers ------------------------------------------------------------------

int64_t Call::DrawInteger() {
  static constexpr int64_t kOdd[] = {
      -1,
      -2,
      std::numeric_limits<int64_t>::min(),
      std::numeric_limits<int64_t>::max(),
      std::numeric_limits<int32_t>::min(),
      std::numeric_limits<int32_t>::max(),
      int64_t{1} << 32,
      int64_t{1} << 62,
      16,
      4097,
  };
  if (random().Percent(75)) return static_cast<int64_t>(random().Below(5));
  return random().Of(kOdd);
}

double Call::DrawReal() {
  static constexpr double kAll[] = {
      1.0,
      0.5,
      0.9,
      -1.0,
      0.0,
      -0.0,
      2.0,
      1e30,
      1e-40,
      std::numeric_limits<double>::quiet_NaN(),
      std::numeric_limits<double>::infinity(),
      -std::numeric_limits<double>::infinity(),
  };
  return random().Of(kAll);
}

size_t Call::Count(const char* name) {
  static constexpr size_t kAbsurd[] = {
      ~size_t{0},      ~size_t{0} / 2, ~size_t{0} / 8, (size_t{1} << 61) + 1,
      size_t{1} << 41,
  };
  const size_t count =
      random().Percent(90) ? random().Below(4) : random().Of(kAbsurd);
  Note(absl::StrCat(name, "=", count, " "));
  counts_[name] = count;
  return count;
}

size_t Call::CountOf(const std::string& name) const {
  const auto found = counts_.find(name);
  return found == counts_.end() ? 0 : found->second;
}

// -- Texts --------------------------------------------------------------------

std::string Call::DrawText(TextUse use) {
  if (random().Percent(4)) return random().Of(kBadTexts);
  if (random().Percent(4)) return random().Of(kOddTexts);
  // One longer than 4 KB would leak where memory fails while an error is made
  // of it: absl::Cord, which carries what errors name, then loses its first
  // part.
  if (random().Percent(1)) return std::string(4000, 'a');
  switch (use) {
    case TextUse::kName:
      return random().Of(kNames);
    case TextUse::kPath:
      return random().Of(kPaths);
    case TextUse::kNewPath:
      return random().Of(kNewPaths);
    case TextUse::kConfig:
      return random().Of(kConfigs);
    case TextUse::kAny:
      break;
  }
  return random().Of(kOddTexts);
}

const char* Call::Text(const char* name, TextUse use) {
  if (random().Percent(use == TextUse::kAny ? 30 : 5)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  std::string text = DrawText(use);
  // The config of an adapter is a string that the library made.
  auto* const made = static_cast<peft_string_t*>(
      run_.PoolOf(KindOf<peft_string_t>::kIndex)
          .Live(KindOf<peft_string_t>::kIndex, random()));
  if (use == TextUse::kConfig && made != nullptr && random().Percent(50)) {
    text = peft_string_data(made);
  }
  char* const memory = Allocate(text.size() + 1);
  std::memcpy(memory, text.c_str(), text.size() + 1);
  Note(absl::StrCat(name, "=\"", text.substr(0, 500), "\" "));
  return memory;
}

const char* const* Call::Texts(const char* name, size_t count, TextUse use) {
  if (count > 0 && random().Percent(5)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  const size_t real = count > 4096 ? 1 : count;
  auto* texts = reinterpret_cast<const char**>(Allocate(real * sizeof(char*)));
  Note(absl::StrCat(name, "={ "));
  for (size_t i = 0; i < real; ++i) texts[i] = Text("", use);
  Note("} ");
  return texts;
}

const void* Call::Bytes(const char* name, size_t size) {
  if (size > 0 && random().Percent(5)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  return Allocate(size > 4096 ? 1 : size);
}

// -- Structs ------------------------------------------------------------------

size_t Call::DrawStructSize(size_t size) {
  if (random().Percent(88)) return size;
  switch (random().Below(6)) {
    case 0:
      return random().Below(size);
    case 1:
      return random().Below(size / 8) * 8;
    case 2:
      return size - 8;
    case 3:
      return size + 8 * random().Below(4);
    case 4:
      return 4096 + random().Below(2);
    default:
      return ~size_t{0} >> random().Below(64);
  }
}

char* Call::CopyStruct(const void* known, size_t known_size, size_t size) {
  const size_t real = std::max(size > 4096 ? sizeof(size) : size, sizeof(size));
  char* const memory = Allocate(real);
  if (!random().Percent(10)) std::memset(memory, 0, real);
  std::memcpy(memory, known, std::min(known_size, real));
  std::memcpy(memory, &size, sizeof(size));
  return memory;
}

DLManagedTensor** Call::OutDLManagedTensor(const char* name) {
  if (random().Percent(6)) {
    Note(absl::StrCat(name, "=NULL "));
    return nullptr;
  }
  auto** out =
      reinterpret_cast<DLManagedTensor**>(Allocate(sizeof(DLManagedTensor*)));
  after_.push_back([this, out](bool success) {
    if (success != (*out != nullptr)) run_.Fail("the DLManagedTensor");
    if (success) run_.Adopt(*out);
  });
  return out;
}

// -- The call -----------------------------------------------------------------

void Call::Invoke(const std::function<void()>& function) {
  const bool may_fail = random().Percent(3);
  const auto allowed = static_cast<int64_t>(random().Below(100));
  const auto after =
      random().Percent(50) ? AfterFailure::kAllFail : AfterFailure::kNoneFails;
  if (may_fail) run_.Log(absl::StrCat("  allocation ", allowed, " fails"));
  const auto call = [&] {
    if (may_fail) FailAfter(allowed, after);
    function();
    StopFailing();
  };
  if (!random().Percent(4)) {
    call();
    return;
  }
  std::thread other(call);
  other.join();
}

void Call::End(bool success) {
  for (const After& after : after_) after(success);
  CountCall(function_, success);
}

bool Call::Check(const char* text) {
  if (text != nullptr && may_read()) TouchText(text);
  return true;
}

bool Call::Check(const int64_t* values) {
  if (values != nullptr && out_size_ != nullptr && may_read()) {
    Touch(values, *out_size_ * sizeof(*values));
  }
  return true;
}

void Call::Touch(const void* data, size_t size) {
  uint64_t sum = 0;
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) sum += bytes[i];
  // So that the compiler reads them.
  if (sum == ~uint64_t{0}) run_.Fail("a sum");
}

void Call::TouchText(const char* text) {
  if (text != nullptr) Touch(text, std::strlen(text) + 1);
}

}  // namespace peft
