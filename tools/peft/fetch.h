// "A folder or a Hub id", for the options of commands.
#ifndef TOOLS_PEFT_FETCH_H_
#define TOOLS_PEFT_FETCH_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/https_transport.h"
#include "hub/hub_client.h"
#include "hub/remote_source.h"

namespace peft_tool {

// Fetches what a command names, over connections that are used again.
class Fetcher {
 public:
  // The folder of the model `path`: `path` itself where it is one, else the
  // repository of that name at `revision` ("": main), which is fetched where
  // the cache lacks it; shows how far that is. Returns an exit code; prints
  // what went wrong.
  int Model(const std::string& path, const std::string& revision,
            std::string* out_folder);

  // The same for an adapter.
  int Adapter(const std::string& path, const std::string& revision,
              std::string* out_folder);

 private:
  using Finder = decltype(&peft::hub::FindModel);

  // Made when the Hub is needed for the first time.
  absl::Status MakeClient();
  absl::StatusOr<std::string> Find(Finder find, const std::string& path,
                                   const std::string& revision);
  int Fetch(Finder find, const char* file, const std::string& path,
            const std::string& revision, std::string* out_folder);

  std::unique_ptr<peft::hub::HttpsTransport> transport_;
  std::unique_ptr<peft::hub::HubClient> client_;
};

}  // namespace peft_tool

#endif  // TOOLS_PEFT_FETCH_H_
