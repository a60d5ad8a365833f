// Two kinds of work in one order.
#ifndef KERNELS_EVEN_MIX_H_
#define KERNELS_EVEN_MIX_H_

#include <cstdint>

namespace peft {
namespace kernels {

// The numbers [0, hosts) and [hosts, hosts + guests), each kind in its own
// order, guests spread evenly between hosts and the first host before all.
class EvenMix {
 public:
  EvenMix(int64_t hosts, int64_t guests)
      : hosts_(hosts), all_(hosts + guests) {}

  int64_t size() const { return all_; }

  bool IsHost(int64_t place) const {
    return HostsBefore(place) < HostsBefore(place + 1);
  }

  // The number at `place`, in [0, size()).
  int64_t At(int64_t place) const {
    const int64_t host = HostsBefore(place);
    return IsHost(place) ? host : hosts_ + place - host;
  }

 private:
  // Host i is at i * all / hosts, rounded down. Without guests, which is the
  // rule, there is nothing to divide.
  int64_t HostsBefore(int64_t place) const {
    if (hosts_ == all_) return place;
    return (place * hosts_ + all_ - 1) / all_;
  }

  const int64_t hosts_;
  const int64_t all_;
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_EVEN_MIX_H_
