// The main function of a fuzz target in the ordinary test run, where libFuzzer
// is not at hand: replays the corpus, then runs seeded mutations of it for a
// bounded time. Finds shallow bugs and keeps fixed ones fixed; the deep search
// is libFuzzer's, see peft_cc_fuzz_test in build_defs.bzl.
//
//   program [--seconds=5] [--runs=20000] [--seed=1] [FILE or FOLDER]...
//
// What ends the process (a sanitizer's report, abort, a hang) leaves the input
// in the file crash-input of the test's outputs, and is replayed by naming it.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Provided by the sanitizers' run time; null without one.
extern "C" void __sanitizer_set_death_callback(void (*callback)())
    __attribute__((weak));

extern "C" const char* __asan_default_options() {
  // An allocation whose size the input chose is a bug; abort() is one as well.
  return "max_allocation_size_mb=512:allocator_may_return_null=0:"
         "handle_abort=1";
}

extern "C" const char* __ubsan_default_options() {
  return "print_stacktrace=1";
}

namespace {

using Clock = std::chrono::steady_clock;
using Input = std::string;

// A single input takes microseconds; this is far beyond the slowest machine.
constexpr int kHangSeconds = 20;

// Mutations do not grow an input beyond this.
constexpr size_t kMaxInputSize = 1 << 16;

struct Options {
  double seconds = 5;
  uint64_t runs = 20000;
  uint64_t seed = 1;
  std::vector<Input> corpus;
};

// The input that is being run, for the handlers below.
const Input* current_input = nullptr;

void SaveCurrentInput() {
  if (current_input == nullptr) return;
  const char* folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  const std::string path =
      folder == nullptr ? "crash-input" : std::string(folder) + "/crash-input";
  std::ofstream(path, std::ios::binary) << *current_input;
  std::fprintf(stderr, "fuzz_driver: the input is in %s (%zu bytes)\n",
               path.c_str(), current_input->size());
}

void OnHang(int) {
  std::fprintf(stderr, "fuzz_driver: an input ran longer than %d s\n",
               kHangSeconds);
  SaveCurrentInput();
  _exit(1);
}

void Run(const Input& input) {
  current_input = &input;
  alarm(kHangSeconds);
  // A copy of exactly this size, so that reading past the end is seen.
  const std::vector<uint8_t> copy(input.begin(), input.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
  alarm(0);
  current_input = nullptr;
}

// Changes inputs in the ways that break parsers: single bits, numbers at the
// edges of their range, and parts removed, repeated or taken from elsewhere.
class Mutator {
 public:
  Mutator(const std::vector<Input>& corpus, uint64_t seed)
      : corpus_(corpus), random_(seed) {}

  // Returns a new input made from one of the corpus.
  Input Next() {
    Input input = Pick();
    for (size_t i = 0, n = 1 + Below(4); i < n; ++i) Mutate(&input);
    if (input.size() > kMaxInputSize) input.resize(kMaxInputSize);
    return input;
  }

 private:
  // A number in [0, bound); 0 for a bound of 0.
  size_t Below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  const Input& Pick() { return corpus_[Below(corpus_.size())]; }

  void Mutate(Input* input) {
    switch (Below(8)) {
      case 0:
        return FlipBit(input);
      case 1:
        return SetByte(input);
      case 2:
        return SetInteger(input);
      case 3:
        return SetDigit(input);
      case 4:
        return Erase(input);
      case 5:
        return Repeat(input);
      case 6:
        return Splice(input);
      default:
        return Truncate(input);
    }
  }

  void FlipBit(Input* input) {
    if (input->empty()) return;
    (*input)[Below(input->size())] ^= static_cast<char>(1 << Below(8));
  }

  void SetByte(Input* input) {
    // Bytes with a meaning in JSON, regular expressions and pickle come more
    // often than the others.
    static constexpr char kBytes[] = "\0\xff\x80\x7f{}[]()\",:\\.*+?|-0 \n";
    const bool special = Below(2) == 0;
    const char byte = special ? kBytes[Below(sizeof(kBytes) - 1)]
                              : static_cast<char>(Below(256));
    const size_t at = Below(input->size() + 1);
    if (at == input->size() || Below(2) == 0) {
      input->insert(at, 1, byte);
    } else {
      (*input)[at] = byte;
    }
  }

  void SetInteger(Input* input) {
    static constexpr uint64_t kValues[] = {
        0,          1,          0x7f,       0x80,       0xff,       0x7fff,
        0xffff,     0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, INT64_MAX,
        1ull << 63, UINT64_MAX, 64,         1ull << 40,
    };
    const size_t width = size_t{1} << Below(4);
    if (input->size() < width) return;
    // Little-endian, as every format that we read.
    uint64_t value = kValues[Below(std::size(kValues))] + Below(3) - 1;
    const size_t at = Below(input->size() - width + 1);
    for (size_t i = 0; i < width; ++i, value >>= 8) {
      (*input)[at + i] = static_cast<char>(value & 0xff);
    }
  }

  void SetDigit(Input* input) {
    const size_t at = input->find_first_of("0123456789", Below(input->size()));
    if (at == Input::npos) return;
    static const Input kNumbers[] = {
        "-1", "0", "1e400", "4294967296", "18446744073709551615", "0.5", "99"};
    input->replace(at, 1, kNumbers[Below(std::size(kNumbers))]);
  }

  void Erase(Input* input) {
    const size_t at = Below(input->size());
    input->erase(at, 1 + Below(std::min<size_t>(64, input->size() - at)));
  }

  void Repeat(Input* input) {
    const size_t at = Below(input->size());
    const Input part = input->substr(at, 1 + Below(64));
    // Many repetitions nest brackets and opcodes deeply.
    const size_t times = Below(8) == 0 ? 500 : 1;
    for (size_t i = 0; i < times; ++i) input->insert(at, part);
  }

  void Splice(Input* input) {
    const Input& other = Pick();
    const size_t from = Below(other.size());
    const Input part = other.substr(from, 1 + Below(256));
    input->insert(Below(input->size() + 1), part);
  }

  void Truncate(Input* input) { input->resize(Below(input->size() + 1)); }

  const std::vector<Input>& corpus_;
  std::mt19937_64 random_;
};

void AddFile(const std::filesystem::path& path, std::vector<Input>* corpus) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "fuzz_driver: cannot read %s\n", path.c_str());
    std::exit(1);
  }
  corpus->emplace_back(std::istreambuf_iterator<char>(file),
                       std::istreambuf_iterator<char>());
}

void AddPath(const std::filesystem::path& path, std::vector<Input>* corpus) {
  if (!std::filesystem::is_directory(path)) return AddFile(path, corpus);
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  // A folder has no order of its own, and the runs must repeat.
  std::sort(files.begin(), files.end());
  for (const auto& file : files) AddFile(file, corpus);
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const char* arg = argv[i];
    if (std::strncmp(arg, "--seconds=", 10) == 0) {
      options.seconds = std::atof(arg + 10);
    } else if (std::strncmp(arg, "--runs=", 7) == 0) {
      options.runs = std::strtoull(arg + 7, nullptr, 10);
    } else if (std::strncmp(arg, "--seed=", 7) == 0) {
      options.seed = std::strtoull(arg + 7, nullptr, 10);
    } else {
      AddPath(arg, &options.corpus);
    }
  }
  // The empty input is everyone's corner case.
  options.corpus.emplace_back();
  return options;
}

// Returns the number of mutations that were run.
uint64_t RunMutations(const Options& options) {
  const auto end =
      Clock::now() + std::chrono::duration<double>(options.seconds);
  Mutator mutator(options.corpus, options.seed);
  uint64_t runs = 0;
  while (runs < options.runs && Clock::now() < end) {
    Run(mutator.Next());
    ++runs;
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(&SaveCurrentInput);
  }
  signal(SIGALRM, &OnHang);
  for (const Input& input : options.corpus) Run(input);
  const uint64_t runs = RunMutations(options);
  std::printf("fuzz_driver: %zu inputs and %llu mutations, seed %llu: passed\n",
              options.corpus.size(), static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(options.seed));
  return 0;
}
