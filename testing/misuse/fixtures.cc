#include "testing/misuse/fixtures.h"

#include <filesystem>

namespace peft {
namespace {

namespace fs = std::filesystem;

constexpr char kTestdata[] = "peft_cc/models/testdata/";

// What is copied where.
struct Fixture {
  const char* from;
  const char* to;
};
constexpr Fixture kFixtures[] = {
    {"models/llama", "llama"},       {"adapter", "lora"},
    {"heads/gpt2_lm", "gpt2"},       {"heads/gpt2_lm/adapter", "gpt2_lora"},
    {"heads/bert_sequence", "bert"},
};

}  // namespace

void EnterFixtures(const std::string& folder) {
  const fs::path root = fs::path(folder) / "misuse";
  fs::remove_all(root);
  for (const Fixture& fixture : kFixtures) {
    fs::create_directories(root / fixture.to);
    for (const auto& entry :
         fs::directory_iterator(std::string(kTestdata) + fixture.from)) {
      if (entry.is_directory()) continue;
      fs::copy_file(entry.path(), root / fixture.to / entry.path().filename());
    }
  }
  fs::create_directory(root / "out");
  fs::current_path(root);
}

}  // namespace peft
