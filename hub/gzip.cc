#include "hub/gzip.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/beast/zlib/inflate_stream.hpp"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

namespace zlib = boost::beast::zlib;

constexpr size_t kPartSize = 1 << 16;

// Bits of the header's flags.
constexpr uint8_t kHasHeaderCrc = 2;
constexpr uint8_t kHasExtra = 4;
constexpr uint8_t kHasName = 8;
constexpr uint8_t kHasComment = 16;
constexpr uint8_t kReserved = 0xe0;

absl::Status GzipError(absl::string_view problem) {
  return MakeError(absl::StatusCode::kUnavailable, error_id::kHubConnect,
                   absl::StrCat("the answer's body is no gzip, as its header "
                                "says, or was damaged: ",
                                problem));
}

std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320u : 0);
    }
    table[i] = value;
  }
  return table;
}

uint32_t AddToCrc(uint32_t crc, absl::Span<const uint8_t> bytes) {
  static const std::array<uint32_t, 256> table = MakeCrcTable();
  crc = ~crc;
  for (const uint8_t byte : bytes) {
    crc = (crc >> 8) ^ table[(crc ^ byte) & 0xff];
  }
  return ~crc;
}

}  // namespace

// The member that is being decoded: a file is one after another.
class GzipDecoder::Member {
 public:
  Member() : part_(kPartSize) {}

  // True between two members, and before the first.
  bool at_start() const { return state_ == State::kFixed && taken_ == 0; }
  // True once a member is complete.
  bool found_one() const { return found_one_; }

  absl::Status Put(absl::Span<const uint8_t> bytes, BodySink sink) {
    while (!bytes.empty()) {
      if (state_ == State::kDeflate) {
        PEFT_RETURN_IF_ERROR(Inflate(&bytes, sink));
      } else {
        PEFT_RETURN_IF_ERROR(PutOutside(bytes.front()));
        bytes.remove_prefix(1);
      }
    }
    return absl::OkStatus();
  }

 private:
  // In the order in which the parts come.
  enum class State {
    kFixed,
    kExtraSize,
    kExtra,
    kName,
    kComment,
    kHeaderCrc,
    kDeflate,
    kTrailer,
  };

  // A byte of the header or of the trailer.
  absl::Status PutOutside(uint8_t byte) {
    switch (state_) {
      case State::kFixed:
        return PutFixed(byte);
      case State::kExtraSize:
        extra_size_ |= byte << (8 * taken_);
        if (++taken_ == 2) Enter(State::kExtra);
        break;
      case State::kExtra:
        if (++taken_ == extra_size_) Enter(State::kName);
        break;
      case State::kName:
        if (byte == 0) Enter(State::kComment);
        break;
      case State::kComment:
        if (byte == 0) Enter(State::kHeaderCrc);
        break;
      case State::kHeaderCrc:
        if (++taken_ == 2) Enter(State::kDeflate);
        break;
      case State::kTrailer:
        return PutTrailer(byte);
      case State::kDeflate:
        break;
    }
    return absl::OkStatus();
  }

  // Enters `state`, or the first after it that this member has.
  void Enter(State state) {
    taken_ = 0;
    state_ = state;
    if (state == State::kExtraSize && (flags_ & kHasExtra) == 0) {
      return Enter(State::kName);
    }
    if (state == State::kExtra && extra_size_ == 0) return Enter(State::kName);
    if (state == State::kName && (flags_ & kHasName) == 0) {
      return Enter(State::kComment);
    }
    if (state == State::kComment && (flags_ & kHasComment) == 0) {
      return Enter(State::kHeaderCrc);
    }
    if (state == State::kHeaderCrc && (flags_ & kHasHeaderCrc) == 0) {
      return Enter(State::kDeflate);
    }
  }

  // Of the ten bytes that each member begins with, the time, the compression
  // and the system are of no interest.
  absl::Status PutFixed(uint8_t byte) {
    constexpr uint8_t kMagic[] = {0x1f, 0x8b, 8};
    if (taken_ < 3 && byte != kMagic[taken_]) {
      return GzipError("a member does not begin with 1f 8b 08");
    }
    if (taken_ == 3) flags_ = byte;
    if ((flags_ & kReserved) != 0) return GzipError("a reserved flag is set");
    if (++taken_ == 10) {
      extra_size_ = 0;
      crc_ = 0;
      size_ = 0;
      trailer_ = 0;
      inflate_.reset();
      Enter(State::kExtraSize);
    }
    return absl::OkStatus();
  }

  // Four bytes of checksum and four of size, both of what was decoded.
  absl::Status PutTrailer(uint8_t byte) {
    trailer_ |= uint64_t{byte} << (8 * taken_);
    if (++taken_ < 8) return absl::OkStatus();
    if (trailer_ != ((uint64_t{size_} << 32) | crc_)) {
      return GzipError("its checksum or size is another");
    }
    found_one_ = true;
    flags_ = 0;
    Enter(State::kFixed);
    return absl::OkStatus();
  }

  // Decodes from the front of `bytes` until they or the deflate stream end.
  absl::Status Inflate(absl::Span<const uint8_t>* bytes, BodySink sink) {
    zlib::z_params params;
    params.next_in = bytes->data();
    params.avail_in = bytes->size();
    boost::beast::error_code error;
    // A full part may leave more to come even without input.
    do {
      params.next_out = part_.data();
      params.avail_out = part_.size();
      inflate_.write(params, zlib::Flush::sync, error);
      PEFT_RETURN_IF_ERROR(HandOn(part_.size() - params.avail_out, sink));
    } while (!error && params.avail_out == 0);
    size_t used = bytes->size() - params.avail_in;
    if (error == zlib::error::end_of_stream) {
      // Up to a byte behind the end of the stream may have been taken: the
      // lower bits of data_type are how many bits are left unused.
      used -= std::min<size_t>((params.data_type & 63) / 8, used);
      Enter(State::kTrailer);
    } else if (error && error != zlib::error::need_buffers) {
      return GzipError(error.message());
    }
    bytes->remove_prefix(used);
    return absl::OkStatus();
  }

  absl::Status HandOn(size_t size, BodySink sink) {
    if (size == 0) return absl::OkStatus();
    const absl::Span<const uint8_t> part(part_.data(), size);
    crc_ = AddToCrc(crc_, part);
    size_ += static_cast<uint32_t>(size);
    return sink(part);
  }

  State state_ = State::kFixed;
  // Bytes of the present state that were taken.
  size_t taken_ = 0;
  uint8_t flags_ = 0;
  size_t extra_size_ = 0;
  uint32_t crc_ = 0;
  uint32_t size_ = 0;  // modulo 2^32, as in the trailer
  uint64_t trailer_ = 0;
  bool found_one_ = false;
  zlib::inflate_stream inflate_;
  std::vector<uint8_t> part_;
};

GzipDecoder::GzipDecoder() : member_(std::make_unique<Member>()) {}

GzipDecoder::~GzipDecoder() = default;

absl::Status GzipDecoder::Put(absl::Span<const uint8_t> bytes, BodySink sink) {
  return member_->Put(bytes, sink);
}

absl::Status GzipDecoder::Finish() const {
  if (member_->at_start() && member_->found_one()) return absl::OkStatus();
  return GzipError("it ends too early");
}

}  // namespace hub
}  // namespace peft
