// The quickstart's vocabulary: one token for each character.
#ifndef EXAMPLES_QUICKSTART_TOKENIZER_H_
#define EXAMPLES_QUICKSTART_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace quickstart {

class Tokenizer {
 public:
  static constexpr int64_t kPad = 0;
  static constexpr int64_t kBos = 1;
  static constexpr int64_t kEos = 2;

  // Reads {"<character>": id, ...}. Ends the program when it cannot.
  static Tokenizer Read(const std::string& path);

  // BOS, the digits, "=".
  std::vector<int64_t> EncodePrompt(const std::string& number) const;

  // The text in front of the first token that is no character.
  std::string Decode(const int64_t* tokens, size_t count) const;

 private:
  std::map<std::string, int64_t> ids_;
  std::map<int64_t, std::string> texts_;
};

// A number that no training saw, with the right answer in each language.
struct HeldOut {
  std::string number;
  std::map<std::string, std::string> answers;
};

// Reads heldout.json. Ends the program when it cannot.
std::vector<HeldOut> ReadHeldOut(const std::string& path);

}  // namespace quickstart

#endif  // EXAMPLES_QUICKSTART_TOKENIZER_H_
