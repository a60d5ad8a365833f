#include "examples/quickstart/tokenizer.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "nlohmann/json.hpp"

namespace quickstart {
namespace {

nlohmann::json ReadJson(const std::string& path) {
  std::ifstream file(path);
  nlohmann::json value = nlohmann::json::parse(file, nullptr, false);
  if (value.is_discarded()) {
    std::fprintf(stderr, "quickstart: cannot read %s\n", path.c_str());
    std::exit(1);
  }
  return value;
}

}  // namespace

Tokenizer Tokenizer::Read(const std::string& path) {
  const nlohmann::json vocabulary = ReadJson(path);
  Tokenizer tokenizer;
  for (const auto& [text, id] : vocabulary.items()) {
    tokenizer.ids_[text] = id.get<int64_t>();
    tokenizer.texts_[id.get<int64_t>()] = text;
  }
  return tokenizer;
}

std::vector<int64_t> Tokenizer::EncodePrompt(const std::string& number) const {
  std::vector<int64_t> tokens = {kBos};
  for (const char digit : number) {
    tokens.push_back(ids_.at(std::string(1, digit)));
  }
  tokens.push_back(ids_.at("="));
  return tokens;
}

std::string Tokenizer::Decode(const int64_t* tokens, size_t count) const {
  std::string text;
  for (size_t i = 0; i < count && tokens[i] > kEos; ++i) {
    text += texts_.at(tokens[i]);
  }
  return text;
}

std::vector<HeldOut> ReadHeldOut(const std::string& path) {
  const nlohmann::json numbers = ReadJson(path);
  std::vector<HeldOut> rows;
  for (const auto& row : numbers) {
    HeldOut heldout;
    for (const auto& [key, value] : row.items()) {
      if (key == "number") {
        heldout.number = std::to_string(value.get<int64_t>());
      } else {
        heldout.answers[key] = value.get<std::string>();
      }
    }
    rows.push_back(heldout);
  }
  return rows;
}

}  // namespace quickstart
