// How long one thing takes, measured again and again.
#ifndef BENCHMARKS_SAMPLES_H_
#define BENCHMARKS_SAMPLES_H_

#include <functional>
#include <vector>

namespace peft {

// Seconds by the wall's clock. On one thread also those in which it really ran:
// programs beside this one take time, not speed.
class Samples {
 public:
  // Measures `run` once more.
  void Time(const std::function<void()>& run);

  // The median, and what a tenth of all are below; 0 where there are none.
  double Wall() const;
  double Best() const;
  // The median of the calling thread's own time.
  double Own() const;

 private:
  std::vector<double> wall_;
  std::vector<double> own_;
};

}  // namespace peft

#endif  // BENCHMARKS_SAMPLES_H_
