// Reader of zip archives whose entries are stored without compression, as
// torch.save writes them. Names are only names: nothing is ever unpacked to
// disk. Format: PKWARE APPNOTE 6.3.10.
#ifndef PEFT_CC_TENSORS_ZIP_H_
#define PEFT_CC_TENSORS_ZIP_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {

// A view into the bytes of the archive.
struct ZipEntry {
  absl::string_view name;  // bytes as they stand there, any encoding
  absl::Span<const uint8_t> data;
};

// Lists the entries of `archive` in the order of its central directory, whose
// sizes are the ones that count. Fails with INVALID_ARGUMENT (TORCH_FILE) for
// compressed, encrypted or split archives, and where directory, local headers,
// data descriptors and the extent of the file do not fit together: two entries
// of one name, overlapping entries, bytes behind the archive. Checksums are
// not verified: torch can be told to write none. Messages do not name the file.
absl::StatusOr<std::vector<ZipEntry>> ReadZip(
    absl::Span<const uint8_t> archive);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_ZIP_H_
