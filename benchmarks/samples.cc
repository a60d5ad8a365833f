#include "benchmarks/samples.h"

#include <time.h>

#include <algorithm>

namespace peft {
namespace {

double Now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) +
         1e-9 * static_cast<double>(time.tv_nsec);
}

double At(std::vector<double> samples, double part) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  return samples[static_cast<size_t>(part *
                                     static_cast<double>(samples.size() - 1))];
}

}  // namespace

void Samples::Time(const std::function<void()>& run) {
  const double wall = Now(CLOCK_MONOTONIC);
  const double own = Now(CLOCK_THREAD_CPUTIME_ID);
  run();
  own_.push_back(Now(CLOCK_THREAD_CPUTIME_ID) - own);
  wall_.push_back(Now(CLOCK_MONOTONIC) - wall);
}

double Samples::Wall() const { return At(wall_, 0.5); }
double Samples::Best() const { return At(wall_, 0.1); }
double Samples::Own() const { return At(own_, 0.5); }

}  // namespace peft
