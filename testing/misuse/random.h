// Numbers that depend on a seed alone, on every machine.
#ifndef TESTING_MISUSE_RANDOM_H_
#define TESTING_MISUSE_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace peft {

// Thread-compatible.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // SplitMix64.
  uint64_t Next() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

  // 0 to n - 1; n is not 0.
  uint64_t Below(uint64_t n) { return Next() % n; }

  bool Percent(uint64_t chance) { return Below(100) < chance; }

  template <typename Value>
  const Value& Of(const std::vector<Value>& values) {
    return values[Below(values.size())];
  }

  template <typename Value, size_t kSize>
  const Value& Of(const Value (&values)[kSize]) {
    return values[Below(kSize)];
  }

 private:
  uint64_t state_;
};

}  // namespace peft

#endif  // TESTING_MISUSE_RANDOM_H_
