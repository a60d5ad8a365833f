#include "peft_cc/algebra/torch_generator.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "peft_cc/algebra/torch_init.h"

namespace peft {
namespace {

// As testdata/make_torch_draws.py has it.
std::string Fnv1a(const void* data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < size; i += sizeof(uint32_t)) {
    uint32_t word;
    std::memcpy(&word, static_cast<const char*>(data) + i, sizeof(word));
    hash = (hash ^ word) * 0x100000001b3;
  }
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16));
}

// One line of the file: the function, its arguments, n and the hash.
class Draw {
 public:
  explicit Draw(absl::string_view line) : words_(absl::StrSplit(line, ' ')) {}

  absl::string_view kind() const { return words_[0]; }
  double Argument(size_t i) const { return ToDouble(words_[1 + i]); }
  int64_t n() const {
    return static_cast<int64_t>(ToDouble(words_[words_.size() - 2]));
  }
  const std::string& hash() const { return words_.back(); }

 private:
  static double ToDouble(const std::string& word) {
    double value = NAN;
    EXPECT_TRUE(absl::SimpleAtod(word, &value)) << word;
    return value;
  }

  std::vector<std::string> words_;
};

std::string RandPermHash(int64_t n, TorchGenerator& generator) {
  const std::vector<int64_t> permutation = generator.RandPerm(n);
  return Fnv1a(permutation.data(), permutation.size() * sizeof(int64_t));
}

std::string FloatsHash(const Draw& draw, TorchGenerator& generator) {
  std::vector<float> values(draw.n());
  const absl::Span<float> out = absl::MakeSpan(values);
  if (draw.kind() == "normal") {
    generator.Normal(draw.Argument(0), draw.Argument(1), out);
  } else if (draw.kind() == "uniform") {
    generator.Uniform(draw.Argument(0), draw.Argument(1), out);
  } else if (draw.kind() == "bernoulli") {
    generator.Bernoulli(draw.Argument(0), out);
  } else if (draw.kind() == "kaiming") {
    DefaultWeight(generator, draw.Argument(0), out);
  } else if (draw.kind() == "bias") {
    DefaultBias(generator, draw.Argument(0), out);
  } else {
    generator.Normal(0, 1, out);
  }
  return Fnv1a(values.data(), values.size() * sizeof(float));
}

TEST(TorchGeneratorTest, DrawsEqualPyTorchsBitForBit) {
  std::ifstream file("peft_cc/algebra/testdata/torch_draws.txt");
  TorchGenerator generator(0);
  std::string line, seed_line;
  int num_draws = 0;
  while (std::getline(file, line)) {
    if (absl::string_view(line).substr(0, 5) == "seed ") {
      uint64_t seed;
      ASSERT_TRUE(absl::SimpleAtoi(line.substr(5), &seed));
      generator = TorchGenerator(seed);
      seed_line = line;
      continue;
    }
    const Draw draw(line);
    const std::string hash = draw.kind() == "randperm"
                                 ? RandPermHash(draw.n(), generator)
                                 : FloatsHash(draw, generator);
    EXPECT_EQ(hash, draw.hash()) << seed_line << ": " << line;
    ++num_draws;
  }
  EXPECT_GT(num_draws, 200);
}

TEST(TorchGeneratorTest, OnlyTheLow32BitsOfTheSeedCount) {
  EXPECT_EQ(TorchGenerator(0x3d30f19cd101).NextU32(),
            TorchGenerator(0xf19cd101).NextU32());
}

TEST(TorchGeneratorTest, TheHighHalfOf64BitsIsDrawnFirst) {
  TorchGenerator words(7), halves(7);
  const uint64_t high = halves.NextU32();
  EXPECT_EQ(words.NextU64(), high << 32 | halves.NextU32());
}

TEST(TorchGeneratorTest, UniformNeverReachesItsUpperBound) {
  // Two neighbouring floats: half of the draws round up to the higher one.
  const float high = std::nextafter(1.0f, 2.0f);
  std::vector<float> values(100);
  TorchGenerator(1).Uniform(1, high, absl::MakeSpan(values));
  for (const float value : values) EXPECT_EQ(value, 1.0f);
}

TEST(TorchGeneratorTest, NothingIsDrawnForNoElements) {
  TorchGenerator generator(3);
  generator.Normal(0, 1, {});
  generator.Uniform(0, 1, {});
  DefaultWeight(generator, 0, {});
  EXPECT_TRUE(generator.RandPerm(0).empty());
  EXPECT_EQ(generator.NextU32(), TorchGenerator(3).NextU32());
}

}  // namespace
}  // namespace peft
