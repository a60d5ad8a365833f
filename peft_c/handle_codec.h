// How a handle is written into the bits of a pointer.
//
//   64-bit  0 1 | generation : 30 | slot : 24 | kind : 5 | 101
//   32-bit        generation : 10 | slot : 14 | kind : 5 | 101
//
// The low bits make the value one that no object can have as its address: it
// is odd. On 64-bit systems the high bits place it outside of every user
// address space as well, so that a garbage collector that sees it (Go's scans
// what looks like a pointer) does not take it for one of its own, and a program
// that dereferences it stops at once.
#ifndef PEFT_C_HANDLE_CODEC_H_
#define PEFT_C_HANDLE_CODEC_H_

#include <cstdint>

namespace peft {

// Values are never seen outside of the process: they may be renumbered.
enum class HandleKind : uint8_t {
  kNone = 0,
  kStatus,
  kString,
  kStringList,
  kTensor,
  kStateDict,
  kModel,
  kLoadReport,
  kSession,
  kGenerateResult,
  kActivation,
  kProbeReport,
  kExchange,
  kLayerRunner,
  kLowered,
  kLast = kLowered,
};

// The parts of a handle. A slot with a generation is one object, ever.
struct HandleParts {
  HandleKind kind = HandleKind::kNone;
  uint32_t slot = 0;
  uint32_t generation = 0;
};

// The codec for pointers as wide as `Word`.
template <typename Word>
struct HandleCodec {
  static constexpr bool kWide = sizeof(Word) == 8;
  static constexpr int kTagBits = 3;
  static constexpr int kKindBits = 5;
  static constexpr int kSlotBits = kWide ? 24 : 14;
  static constexpr int kGenerationBits = kWide ? 30 : 10;
  static constexpr int kKindShift = kTagBits;
  static constexpr int kSlotShift = kKindShift + kKindBits;
  static constexpr int kGenerationShift = kSlotShift + kSlotBits;

  static constexpr Word kTag = 5;
  static constexpr Word kTop = kWide ? Word{1} << (sizeof(Word) * 8 - 2) : 0;
  static constexpr Word kTopMask = kWide ? kTop * 3 : 0;

  static constexpr uint32_t kSlots = uint32_t{1} << kSlotBits;
  static constexpr uint32_t kGenerations = uint32_t{1} << kGenerationBits;

  // The word of these parts; they must fit the fields, and the kind and the
  // generation must not be 0.
  static constexpr Word Encode(const HandleParts& parts) {
    return kTop | Word{parts.generation} << kGenerationShift |
           Word{parts.slot} << kSlotShift |
           static_cast<Word>(parts.kind) << kKindShift | kTag;
  }

  // False when `word` is nothing that Encode makes.
  static constexpr bool Decode(Word word, HandleParts* parts) {
    const Word kind = Field(word, kKindShift, kKindBits);
    parts->kind = static_cast<HandleKind>(kind);
    parts->slot = static_cast<uint32_t>(Field(word, kSlotShift, kSlotBits));
    parts->generation =
        static_cast<uint32_t>(Field(word, kGenerationShift, kGenerationBits));
    return Field(word, 0, kTagBits) == kTag && (word & kTopMask) == kTop &&
           kind != 0 && kind <= static_cast<Word>(HandleKind::kLast) &&
           parts->generation != 0;
  }

 private:
  static constexpr Word Field(Word word, int shift, int bits) {
    return (word >> shift) & ((Word{1} << bits) - 1);
  }
};

}  // namespace peft

#endif  // PEFT_C_HANDLE_CODEC_H_
