// Whatever the Hub answers, or lies in the cache as a listing: no crash, and
// what is taken is safe as a path. The first byte says what it is read as.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "hub/answers.h"
#include "hub/hash.h"
#include "hub/http_error.h"
#include "hub/repo_id.h"
#include "hub/tree_cache.h"

namespace peft {
namespace hub {
namespace {

void Check(bool right) {
  if (!right) std::abort();
}

void CheckTree(const Tree& tree) {
  for (const auto& [path, file] : tree) {
    Check(CheckFileName(path).ok() && IsBlobName(file.etag()));
  }
}

void ReadPage(absl::string_view text) {
  Tree tree;
  if (!ParseTreePage(text, "fuzz", &tree).ok()) return;
  CheckTree(tree);
  const absl::optional<Tree> again = ParseTreeCache(DumpTreeCache(tree));
  Check(again.has_value() && again->size() == tree.size());
}

void ReadListing(absl::string_view text) {
  const absl::optional<Tree> tree = ParseTreeCache(text);
  if (tree.has_value()) CheckTree(*tree);
}

void ReadInfo(absl::string_view text) {
  const auto commit = ParseRepoInfo(text, "fuzz");
  Check(!commit.ok() || IsCommit(*commit));
  const auto refs = ParseRefs(text, "fuzz");
  Check(!refs.ok() || refs->empty() || IsCommit(refs->front().commit));
}

// Fields, a line each, of a good answer and of an error with a body.
void ReadFields(absl::string_view text) {
  HttpResponse response;
  response.status = 302;
  while (!text.empty()) {
    const absl::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t colon = std::min(line.find(':'), line.size());
    response.fields.emplace_back(line.substr(0, colon),
                                 line.substr(std::min(colon + 1, line.size())));
  }
  const Url url = {"https", "hub.test", 443, "/x"};
  const auto metadata = ParseMetadata(response, url, url, "fuzz");
  Check(!metadata.ok() ||
        (IsCommit(metadata->commit) && IsBlobName(metadata->etag)));
  NextPage(response.fields);
  response.status = 429;
  FailureOf(response, text, url, "fuzz", true);
}

}  // namespace
}  // namespace hub
}  // namespace peft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data + 1),
                               size - 1);
  switch (data[0]) {
    case 'p':
      peft::hub::ReadPage(text);
      break;
    case 'l':
      peft::hub::ReadListing(text);
      break;
    case 'f':
      peft::hub::ReadFields(text);
      break;
    default:
      peft::hub::ReadInfo(text);
  }
  return 0;
}
