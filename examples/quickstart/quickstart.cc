// The main job, from end to end: opens a small base model that writes numbers
// in English words, loads three PEFT adapters that make it answer in German,
// French and Roman numerals, switches between them and generates.
//
//   ./bazelw run //examples:quickstart
//   ./bazelw run //examples:quickstart -- --number 1234 --adapter german
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "examples/quickstart/tokenizer.h"
#include "peft_c/peft_c.h"

namespace {

using quickstart::HeldOut;
using quickstart::Tokenizer;

constexpr double kNeededAccuracy = 0.9;
constexpr size_t kRowsAtOnce = 50;
const char* const kAdapters[] = {"german", "french", "roman"};

const char kHelp[] =
    "usage: quickstart [--number N --adapter NAME] [--folder DIR]\n"
    "\n"
    "Without options: measures the base model and its adapters on 200 numbers\n"
    "that no training saw, and fails when one of them is right on fewer than "
    "90 %.\n"
    "\n"
    "  --number N      answer this number only, 0 to 9999 (roman: 1 to 3999)\n"
    "  --adapter NAME  german, french, roman, or base, the default: English\n"
    "  --folder DIR    where base/, adapters/ and the data are\n";

// Ends the program when a call has failed: an example may.
void Check(peft_status_t* status) {
  if (status == nullptr) return;
  std::fprintf(stderr, "quickstart: %s [%s]\n", peft_status_message(status),
               peft_status_id(status));
  std::exit(1);
}

double Seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The prompts of one call, padded on the left to one length.
struct Batch {
  explicit Batch(const std::vector<std::vector<int64_t>>& prompts) {
    for (const auto& prompt : prompts) {
      length = std::max(length, static_cast<int64_t>(prompt.size()));
    }
    for (const auto& prompt : prompts) {
      const size_t padding = static_cast<size_t>(length) - prompt.size();
      ids.insert(ids.end(), padding, Tokenizer::kPad);
      mask.insert(mask.end(), padding, 0);
      ids.insert(ids.end(), prompt.begin(), prompt.end());
      mask.insert(mask.end(), prompt.size(), 1);
    }
  }

  int64_t length = 0;
  std::vector<int64_t> ids;
  std::vector<int64_t> mask;
};

// Answers the prompts; adds the number of tokens made to `out_tokens`.
std::vector<std::string> Answer(peft_session_t* session,
                                const Tokenizer& tokenizer,
                                const std::vector<std::string>& numbers,
                                size_t* out_tokens) {
  std::vector<std::vector<int64_t>> prompts;
  for (const std::string& number : numbers) {
    prompts.push_back(tokenizer.EncodePrompt(number));
  }
  const Batch batch(prompts);
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = batch.ids.data();
  input.attention_mask = batch.mask.data();
  input.batch = static_cast<int64_t>(numbers.size());
  input.length = batch.length;
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  options.max_new_tokens = 64;
  peft_generate_result_t* result = nullptr;
  Check(peft_session_generate(session, &input, &options, &result));
  std::vector<std::string> answers;
  for (size_t row = 0; row < numbers.size(); ++row) {
    size_t count = 0;
    const int64_t* tokens = peft_generate_result_tokens(result, row, &count);
    answers.push_back(tokenizer.Decode(tokens, count));
    *out_tokens += count;
  }
  peft_generate_result_free(result);
  return answers;
}

// One line of the table.
struct Row {
  std::string adapter;
  std::string example;
  double accuracy = 0;
  double load_ms = 0;
  double switch_us = 0;
  double tokens_per_second = 0;
};

void Evaluate(peft_session_t* session, const Tokenizer& tokenizer,
              const std::vector<HeldOut>& heldout, const std::string& language,
              Row* row) {
  size_t right = 0;
  size_t tokens = 0;
  const double start = Seconds();
  for (size_t first = 0; first < heldout.size(); first += kRowsAtOnce) {
    const size_t end = std::min(heldout.size(), first + kRowsAtOnce);
    std::vector<std::string> numbers;
    for (size_t i = first; i < end; ++i) numbers.push_back(heldout[i].number);
    const auto answers = Answer(session, tokenizer, numbers, &tokens);
    for (size_t i = first; i < end; ++i) {
      if (answers[i - first] == heldout[i].answers.at(language)) ++right;
    }
    if (first == 0) row->example = numbers[0] + " = " + answers[0];
  }
  row->tokens_per_second = static_cast<double>(tokens) / (Seconds() - start);
  row->accuracy =
      static_cast<double>(right) / static_cast<double>(heldout.size());
}

void PrintTable(const std::vector<Row>& rows) {
  std::printf("\n%-8s %9s %10s %11s %9s  %s\n", "adapter", "accuracy",
              "load (ms)", "switch (us)", "tokens/s", "an answer");
  for (const Row& row : rows) {
    std::printf("%-8s %8.1f%% %10.2f %11.1f %9.0f  %s\n", row.adapter.c_str(),
                100 * row.accuracy, row.load_ms, row.switch_us,
                row.tokens_per_second, row.example.c_str());
  }
}

// Opens the base model and loads the adapters; their load times go to `rows`.
peft_model_t* OpenAll(const std::string& folder, std::vector<Row>* rows) {
  double start = Seconds();
  peft_model_t* model = nullptr;
  Check(peft_model_open((folder + "/base").c_str(), nullptr, &model));
  rows->push_back({"base", "", 0, 1e3 * (Seconds() - start), 0, 0});
  for (const char* name : kAdapters) {
    start = Seconds();
    const std::string path = folder + "/adapters/" + name;
    Check(peft_model_load_adapter(model, name, path.c_str(), nullptr, nullptr));
    rows->push_back({name, "", 0, 1e3 * (Seconds() - start), 0, 0});
  }
  return model;
}

void Activate(peft_model_t* model, const std::string& name) {
  const char* names[] = {name.c_str()};
  Check(peft_model_set_adapter(model, names, name == "base" ? 0 : 1, nullptr));
}

int RunTable(const std::string& folder) {
  const Tokenizer tokenizer = Tokenizer::Read(folder + "/vocab.json");
  const auto heldout = quickstart::ReadHeldOut(folder + "/heldout.json");
  std::vector<Row> rows;
  peft_model_t* model = OpenAll(folder, &rows);
  peft_session_t* session = nullptr;
  Check(peft_session_create(model, nullptr, &session));
  bool good = true;
  for (Row& row : rows) {
    const double start = Seconds();
    Activate(model, row.adapter);
    row.switch_us = 1e6 * (Seconds() - start);
    const std::string language =
        row.adapter == "base" ? "english" : row.adapter;
    Evaluate(session, tokenizer, heldout, language, &row);
    good = good && row.accuracy >= kNeededAccuracy;
  }
  PrintTable(rows);
  std::printf("\naccuracy: exact answers on %zu numbers that no training saw\n",
              heldout.size());
  if (!good) std::fprintf(stderr, "quickstart: an accuracy is under 90 %%\n");
  peft_session_free(session);
  peft_model_free(model);
  return good ? 0 : 1;
}

int RunOne(const std::string& folder, const std::string& number,
           const std::string& adapter) {
  const Tokenizer tokenizer = Tokenizer::Read(folder + "/vocab.json");
  std::vector<Row> rows;
  peft_model_t* model = OpenAll(folder, &rows);
  Activate(model, adapter);
  peft_session_t* session = nullptr;
  Check(peft_session_create(model, nullptr, &session));
  size_t tokens = 0;
  std::printf("%s\n", Answer(session, tokenizer, {number}, &tokens)[0].c_str());
  peft_session_free(session);
  peft_model_free(model);
  return 0;
}

bool IsNumber(const std::string& text, const std::string& adapter) {
  if (text.empty() || text.size() > 4) return false;
  if (text.find_first_not_of("0123456789") != std::string::npos) return false;
  if (text.size() > 1 && text[0] == '0') return false;
  const int number = std::atoi(text.c_str());
  return adapter != "roman" || (number >= 1 && number <= 3999);
}

int Usage(const char* message) {
  std::fprintf(stderr, "quickstart: %s\n\n%s", message, kHelp);
  return 2;
}

bool IsAdapter(const std::string& name) {
  for (const char* known : kAdapters) {
    if (name == known) return true;
  }
  return name == "base";
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder = "examples/quickstart";
  std::string adapter;
  std::string number;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--help") return std::fputs(kHelp, stdout) < 0 ? 1 : 0;
    std::string* value = word == "--folder"    ? &folder
                         : word == "--adapter" ? &adapter
                         : word == "--number"  ? &number
                                               : nullptr;
    if (value == nullptr || i + 1 == argc) {
      return Usage(("unknown or incomplete option " + word).c_str());
    }
    *value = argv[++i];
  }
  if (number.empty() && adapter.empty()) return RunTable(folder);
  if (number.empty()) return Usage("--adapter needs --number");
  if (adapter.empty()) adapter = "base";
  if (!IsAdapter(adapter)) return Usage("no such adapter");
  if (!IsNumber(number, adapter)) return Usage("not a number in range");
  return RunOne(folder, number, adapter);
}
