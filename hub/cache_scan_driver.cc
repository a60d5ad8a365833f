// Prints what a cache holds as JSON, for cache_scan_oracle_test.py.
//
//   cache_scan_driver FOLDER
#include <iostream>

#include "hub/cache_scan.h"
#include "peft_cc/base/json.h"

namespace {

using peft::Json;

Json ToJson(const peft::hub::CachedRevision& revision) {
  Json json = Json::object();
  json["commit"] = revision.commit;
  json["refs"] = revision.refs;
  json["size"] = revision.size;
  json["last_modified"] = revision.last_modified;
  json["files"] = Json::object();
  for (const peft::hub::CachedFile& file : revision.files) {
    Json entry = Json::array();
    entry.push_back(file.blob);
    entry.push_back(file.size);
    json["files"][file.name] = entry;
  }
  return json;
}

Json ToJson(const peft::hub::CachedRepo& repo) {
  Json json = Json::object();
  json["type"] = repo.type;
  json["id"] = repo.id;
  json["folder"] = repo.folder;
  json["size"] = repo.size;
  json["num_files"] = repo.num_files;
  json["last_used"] = repo.last_used;
  json["last_modified"] = repo.last_modified;
  json["num_problems"] = repo.problems.size();
  json["partials"] = repo.partials;
  json["revisions"] = Json::array();
  for (const peft::hub::CachedRevision& revision : repo.revisions) {
    json["revisions"].push_back(ToJson(revision));
  }
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto scan = peft::hub::ScanCache(argv[1]);
  if (!scan.ok()) {
    std::cerr << scan.status() << '\n';
    return 1;
  }
  Json json = Json::object();
  json["num_problems"] = scan->problems.size();
  json["repos"] = Json::array();
  for (const peft::hub::CachedRepo& repo : scan->repos) {
    json["repos"].push_back(ToJson(repo));
  }
  std::cout << peft::DumpJson(json) << '\n';
}
