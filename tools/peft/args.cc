#include "tools/peft/args.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <sstream>
#include <utility>

namespace peft_tool {
namespace {

const OptionSpec* FindSpec(const std::vector<OptionSpec>& specs,
                           const std::string& name) {
  for (const OptionSpec& spec : specs) {
    if (name == spec.name) return &spec;
  }
  return nullptr;
}

bool ParseInt(const std::string& text, int64_t* out) {
  if (text.empty()) return false;
  errno = 0;
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (errno != 0 || end != text.c_str() + text.size()) return false;
  *out = value;
  return true;
}

}  // namespace

Args::Args(const std::vector<std::string>& words,
           const std::vector<OptionSpec>& specs) {
  bool only_positional = false;
  for (size_t i = 0; i < words.size() && error_.empty();) {
    const std::string& word = words[i];
    if (word.empty()) {
      error_ = "an argument is empty";
    } else if (only_positional || word.size() < 2 || word[0] != '-') {
      positional_.push_back(word);
      ++i;
    } else if (word == "--") {
      only_positional = true;
      ++i;
    } else {
      i += AddOption(word, i + 1 < words.size() ? words[i + 1] : "", specs);
    }
  }
}

size_t Args::AddOption(const std::string& word, const std::string& next,
                       const std::vector<OptionSpec>& specs) {
  const size_t equals = word.find('=');
  const bool has_value = equals != std::string::npos;
  const std::string name = word.substr(0, equals);
  const OptionSpec* spec = FindSpec(specs, name);
  if (spec == nullptr) {
    error_ = "unknown option " + name;
  } else if (spec->value == nullptr && has_value) {
    error_ = name + " takes no value";
  } else if (spec->value == nullptr) {
    values_[name].push_back("");
  } else {
    std::string value = has_value ? word.substr(equals + 1) : next;
    if (value.empty()) error_ = name + " needs a value: " + spec->value;
    values_[name].push_back(std::move(value));
    return has_value ? 1 : 2;
  }
  return 1;
}

bool Args::Has(const std::string& name) const {
  return values_.count(name) != 0;
}

std::string Args::Get(const std::string& name,
                      const std::string& fallback) const {
  const auto it = values_.find(name);
  return it == values_.end() ? fallback : it->second.back();
}

std::vector<std::string> Args::GetAll(const std::string& name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::vector<std::string>() : it->second;
}

int64_t Args::GetInt(const std::string& name, int64_t fallback, int64_t low,
                     int64_t high) {
  if (!Has(name)) return fallback;
  int64_t value = 0;
  if (!ParseInt(Get(name), &value) || value < low || value > high) {
    error_ = name + " needs a whole number from " + std::to_string(low) +
             " to " + std::to_string(high) + ", got \"" + Get(name) + "\"";
    return fallback;
  }
  return value;
}

double Args::GetDouble(const std::string& name, double fallback) {
  if (!Has(name)) return fallback;
  double value = 0;
  if (!ParseDouble(Get(name), &value)) {
    error_ = name + " needs a number, got \"" + Get(name) + "\"";
    return fallback;
  }
  return value;
}

std::vector<OptionSpec> Joined(
    const std::vector<std::vector<OptionSpec>>& parts) {
  std::vector<OptionSpec> all;
  for (const std::vector<OptionSpec>& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::string HelpText(const std::string& usage, const std::string& summary,
                     const std::vector<OptionSpec>& specs,
                     const std::string& notes) {
  std::vector<std::string> names;
  size_t width = 0;
  for (const OptionSpec& spec : specs) {
    std::string name = spec.name;
    if (spec.value != nullptr) name += std::string(" ") + spec.value;
    width = std::max(width, name.size());
    names.push_back(name);
  }
  std::ostringstream out;
  out << "usage: " << usage << "\n\n" << summary << "\n\n";
  for (size_t i = 0; i < specs.size(); ++i) {
    out << "  " << names[i] << std::string(width - names[i].size() + 2, ' ')
        << specs[i].help << "\n";
  }
  if (!notes.empty()) out << "\n" << notes << "\n";
  return out.str();
}

bool ParseIntList(const std::string& text, std::vector<int64_t>* out) {
  std::stringstream stream(text);
  std::string part;
  while (std::getline(stream, part, ',')) {
    int64_t value = 0;
    if (!ParseInt(part, &value)) return false;
    out->push_back(value);
  }
  return !out->empty();
}

bool ParseDouble(const std::string& text, double* out) {
  if (text.empty()) return false;
  char* end = nullptr;
  *out = std::strtod(text.c_str(), &end);
  return end == text.c_str() + text.size() && std::isfinite(*out);
}

}  // namespace peft_tool
