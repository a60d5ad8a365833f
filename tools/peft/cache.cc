// peft cache: the cache that huggingface_hub keeps, looked at and cleaned.
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/cache_clean.h"
#include "hub/cache_scan.h"
#include "hub/cache_verify.h"
#include "hub/settings.h"
#include "nlohmann/json.hpp"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "tools/peft/args.h"
#include "tools/peft/commands.h"
#include "tools/peft/download_bar.h"
#include "tools/peft/handles.h"
#include "tools/peft/interrupt.h"
#include "tools/peft/progress.h"

namespace peft_tool {
namespace {

namespace hub = peft::hub;
using Json = nlohmann::ordered_json;

const char kCommand[] = "cache";
const char kUsage[] =
    "peft cache list [--revisions] | verify [REPO]... | prune | rm "
    "REPO[@REVISION]...";
// What was changed later may be somebody's download.
constexpr int64_t kQuietSeconds = 600;
// Bytes of a text that are shown.
constexpr size_t kMaxShown = 4096;

std::vector<OptionSpec> Specs() {
  return {
      {"--cache-dir", "D", "the cache (HF_HUB_CACHE, HF_HOME)"},
      {"--revisions", nullptr, "list: a line for each revision"},
      {"--type", "T", "rm, verify: model, dataset, space or kernel (model)"},
      {"--dry-run", nullptr, "prune, rm: only say what would go"},
      {"--yes", nullptr, "prune, rm: do not ask"},
      {"--json", nullptr, "print everything as JSON"},
      {"--help", nullptr, "show this text"},
  };
}

// Names of files may be anything.
std::string Shown(const std::string& text) {
  return peft::Printable(text, kMaxShown);
}

std::string Size(uint64_t bytes) {
  return HumanSize(static_cast<double>(bytes));
}

std::string Day(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts = {};
  char text[32] = "";
  if (localtime_r(&time, &parts) != nullptr) {
    std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &parts);
  }
  return text;
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) {
    joined += (joined.empty() ? "" : " ") + Shown(text);
  }
  return joined;
}

void Print(const Json& json) { std::printf("%s\n", json.dump(2).c_str()); }

Json ProblemsJson(const std::vector<hub::CacheProblem>& problems) {
  Json json = Json::array();
  for (const hub::CacheProblem& problem : problems) {
    json.push_back({{"path", Shown(problem.path)}, {"problem", problem.what}});
  }
  return json;
}

void PrintProblems(const std::vector<hub::CacheProblem>& problems) {
  for (const hub::CacheProblem& problem : problems) {
    std::printf("%s: %s\n", Shown(problem.path).c_str(), problem.what.c_str());
  }
}

// -- list

Json RepoJson(const hub::CachedRepo& repo) {
  Json revisions = Json::array();
  for (const hub::CachedRevision& revision : repo.revisions) {
    Json refs = Json::array();
    for (const std::string& ref : revision.refs) refs.push_back(Shown(ref));
    revisions.push_back({{"commit", Shown(revision.commit)},
                         {"refs", refs},
                         {"files", revision.files.size()},
                         {"size", revision.size},
                         {"last_modified", revision.last_modified}});
  }
  return {{"type", repo.type},
          {"id", Shown(repo.id)},
          {"size", repo.size},
          {"files", repo.num_files},
          {"last_used", repo.last_used},
          {"last_modified", repo.last_modified},
          {"revisions", revisions},
          {"unused_blobs", repo.unused_blobs.size()},
          {"partial_downloads", repo.partials.size()},
          {"problems", ProblemsJson(repo.problems)}};
}

void PrintRepo(const hub::CachedRepo& repo, bool with_revisions) {
  const std::string name = repo.type + "\t" + Shown(repo.id);
  std::vector<std::string> refs;
  for (const hub::CachedRevision& revision : repo.revisions) {
    if (with_revisions) {
      std::printf(
          "%s\t%s\t%s\t%s\t%s\n", name.c_str(), Shown(revision.commit).c_str(),
          Size(revision.size).c_str(), Day(revision.last_modified).c_str(),
          revision.refs.empty() ? "(detached)" : Joined(revision.refs).c_str());
    }
    refs.insert(refs.end(), revision.refs.begin(), revision.refs.end());
  }
  if (with_revisions) return;
  std::printf("%s\t%zu\t%s\t%s\t%s\n", name.c_str(), repo.revisions.size(),
              Size(repo.size).c_str(), Day(repo.last_used).c_str(),
              Joined(refs).c_str());
}

int List(const Args& args, const hub::CacheScan& scan) {
  size_t num_problems = scan.problems.size();
  Json repos = Json::array();
  if (!args.Has("--json")) {
    std::printf(args.Has("--revisions")
                    ? "type\tid\tcommit\tsize\tmodified\trefs\n"
                    : "type\tid\trevisions\tsize\tlast used\trefs\n");
  }
  for (const hub::CachedRepo& repo : scan.repos) {
    num_problems += repo.problems.size();
    if (args.Has("--json")) {
      repos.push_back(RepoJson(repo));
    } else {
      PrintRepo(repo, args.Has("--revisions"));
    }
  }
  if (args.Has("--json")) {
    Print({{"cache", Shown(scan.folder)},
           {"repos", repos},
           {"problems", ProblemsJson(scan.problems)}});
  } else if (num_problems > 0) {
    std::fprintf(stderr, "%zu problems: see peft cache verify\n", num_problems);
  }
  return kExitOk;
}

// -- verify

// Whether the command line names the repository, or none.
bool IsWanted(const Args& args, const hub::CachedRepo& repo) {
  if (args.positional().empty()) return true;
  for (const std::string& id : args.positional()) {
    if (repo.id == id && repo.type == args.Get("--type", "model")) return true;
  }
  return false;
}

// What was found in the repositories that are wanted.
struct Verified {
  hub::VerifyReport report;
  std::vector<std::string> partials;
  size_t num_repos = 0;
};

absl::StatusOr<Verified> VerifyWanted(const Args& args,
                                      const hub::CacheScan& scan) {
  Verified all;
  if (args.positional().empty()) all.report.problems = scan.problems;
  Progress progress("hashing the cache", " MB");
  uint64_t bytes = 0;
  const auto on_bytes = [&](uint64_t more) {
    progress.Count(static_cast<int64_t>((bytes += more) / 1000000));
  };
  for (const hub::CachedRepo& repo : scan.repos) {
    if (!IsWanted(args, repo)) continue;
    ++all.num_repos;
    PEFT_ASSIGN_OR_RETURN(
        const hub::VerifyReport report,
        hub::VerifyRepo(scan.folder, repo, on_bytes, Interrupted));
    all.report.num_blobs += report.num_blobs;
    all.report.num_bytes += report.num_bytes;
    all.report.num_unchecked += report.num_unchecked;
    all.report.problems.insert(all.report.problems.end(),
                               report.problems.begin(), report.problems.end());
    all.partials.insert(all.partials.end(), repo.partials.begin(),
                        repo.partials.end());
  }
  return all;
}

void PrintVerified(const Args& args, const Verified& all) {
  const hub::VerifyReport& report = all.report;
  if (args.Has("--json")) {
    Json leftovers = Json::array();
    for (const std::string& path : all.partials) {
      leftovers.push_back(Shown(path));
    }
    return Print({{"blobs", report.num_blobs},
                  {"bytes", report.num_bytes},
                  {"unchecked", report.num_unchecked},
                  {"problems", ProblemsJson(report.problems)},
                  {"partial_downloads", leftovers}});
  }
  PrintProblems(report.problems);
  for (const std::string& path : all.partials) {
    std::printf("%s: a partial download\n", Shown(path).c_str());
  }
  std::printf("%lld blobs are right (%s), %zu problems, %lld unchecked\n",
              static_cast<long long>(report.num_blobs),
              Size(report.num_bytes).c_str(), report.problems.size(),
              static_cast<long long>(report.num_unchecked));
}

int Verify(const Args& args, const hub::CacheScan& scan) {
  CatchInterrupts();
  const absl::StatusOr<Verified> all = VerifyWanted(args, scan);
  if (!all.ok()) return Fail(all.status());
  if (all->num_repos == 0 && !args.positional().empty()) {
    return Fail("the cache has no such repository");
  }
  PrintVerified(args, *all);
  return all->report.problems.empty() ? kExitOk : kExitFailure;
}

// -- prune, rm

// Does all of it, or only says what it would do.
hub::Removed RemoveAll(const hub::CacheScan& scan,
                       const std::vector<hub::Removal>& plan, bool dry_run) {
  hub::Removed all;
  for (const hub::Removal& removal : plan) {
    const hub::Removed removed = hub::Remove(
        scan.folder, removal, std::time(nullptr), kQuietSeconds, dry_run);
    all.bytes += removed.bytes;
    all.paths.insert(all.paths.end(), removed.paths.begin(),
                     removed.paths.end());
    all.kept.insert(all.kept.end(), removed.kept.begin(), removed.kept.end());
  }
  return all;
}

void PrintRemoved(const Args& args, const hub::Removed& removed, bool is_done) {
  if (args.Has("--json")) {
    Json paths = Json::array();
    for (const std::string& path : removed.paths) {
      paths.push_back(Shown(path));
    }
    Print({{"removed", is_done},
           {"paths", paths},
           {"bytes", removed.bytes},
           {"kept", ProblemsJson(removed.kept)}});
    return;
  }
  for (const std::string& path : removed.paths) {
    std::printf("%s\n", Shown(path).c_str());
  }
  for (const hub::CacheProblem& kept : removed.kept) {
    std::printf("%s stays: %s\n", Shown(kept.path).c_str(), kept.what.c_str());
  }
  std::printf("%s %s\n", is_done ? "freed" : "would free",
              Size(removed.bytes).c_str());
}

// Asks on the terminal.
bool Confirmed() {
  std::fprintf(stderr, "Remove these? [y/N] ");
  const int answer = std::getchar();
  return answer == 'y' || answer == 'Y';
}

int RemoveWhat(const Args& args, const hub::CacheScan& scan,
               const std::vector<hub::Removal>& plan) {
  if (args.Has("--dry-run") || !args.Has("--yes")) {
    const hub::Removed would = RemoveAll(scan, plan, true);
    const bool asks = !args.Has("--dry-run") && !would.paths.empty();
    if (!asks || !args.Has("--json")) PrintRemoved(args, would, false);
    if (!asks) return kExitOk;
    if (isatty(STDIN_FILENO) == 0 || args.Has("--json")) {
      return FailUsage(kCommand, "--yes is needed where nobody can be asked");
    }
    if (!Confirmed()) return kExitOk;
  }
  const hub::Removed removed = RemoveAll(scan, plan, false);
  PrintRemoved(args, removed, true);
  return kExitOk;
}

int RemoveNamed(const Args& args, const hub::CacheScan& scan) {
  if (args.positional().empty()) {
    return FailUsage(kCommand, "rm: which REPO[@REVISION]?");
  }
  std::vector<hub::Removal> plan;
  for (const std::string& what : args.positional()) {
    const size_t at = what.find('@');
    absl::StatusOr<hub::Removal> removal =
        hub::PlanRemove(scan, args.Get("--type", "model"), what.substr(0, at),
                        at == std::string::npos ? "" : what.substr(at + 1));
    if (!removal.ok()) return Fail(removal.status());
    plan.push_back(*std::move(removal));
  }
  return RemoveWhat(args, scan, plan);
}

int Run(const std::string& verb, const Args& args) {
  const absl::StatusOr<hub::CacheScan> scan = hub::ScanCache(
      args.Get("--cache-dir", hub::SettingsFromProcess().cache_dir));
  if (!scan.ok()) return Fail(scan.status());
  if (verb == "verify") return Verify(args, *scan);
  if (verb == "rm") return RemoveNamed(args, *scan);
  if (!args.positional().empty()) {
    return FailUsage(kCommand, "unexpected \"" + args.positional()[0] + "\"");
  }
  if (verb == "list") return List(args, *scan);
  return RemoveWhat(args, *scan,
                    hub::PlanPrune(*scan, std::time(nullptr), kQuietSeconds));
}

}  // namespace

int RunCache(const std::vector<std::string>& words) {
  const bool has_verb = !words.empty() && words[0].compare(0, 1, "-") != 0;
  const std::string verb = has_verb ? words[0] : "";
  const Args args({words.begin() + (has_verb ? 1 : 0), words.end()}, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage,
        "Looks at the cache of the Hub, which is shared with Python, and "
        "cleans it.",
        Specs(),
        "list says what is there; verify hashes each blob (exit code 1 where "
        "something is\nwrong). prune removes revisions that no branch or tag "
        "names, blobs that no\nrevision has, and partial downloads that nobody "
        "goes on with. rm removes a\nrepository, or its revision by ref or "
        "commit. What was changed in the last ten\nminutes is not pruned, and "
        "where somebody is fetching nothing is removed."));
  }
  if (!args.error().empty()) return FailUsage(kCommand, args.error());
  if (verb != "list" && verb != "verify" && verb != "prune" && verb != "rm") {
    return FailUsage(kCommand, verb.empty()
                                   ? "list, verify, prune or rm?"
                                   : "unknown \"" + Shown(verb) + "\"");
  }
  return Run(verb, args);
}

}  // namespace peft_tool
