#include "hub/hub_client.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hub/testing/fake_hub.h"
#include "hub/testing/hub_fixture.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

bool Never() { return false; }

FakeAnswer Failing(int status, const HeaderFields& fields,
                   const std::string& body = "") {
  FakeAnswer answer;
  answer.status = status;
  answer.fields = fields;
  answer.body = body;
  return answer;
}

class HubClientTest : public HubFixture {
 protected:
  HubClientTest() { hub_.AddFile("config.json", "{}"); }

  absl::StatusOr<FileMetadata> Metadata(const std::string& file,
                                        bool retry = true) {
    return Client()->GetMetadata(repo_, "main", file, retry, Never, &without_);
  }

  // All requests are answered so.
  void AnswerAll(const FakeAnswer& answer) {
    hub_.misbehave = [answer](const HttpRequest&, int) { return answer; };
  }

  absl::Status ErrorOf(const FakeAnswer& answer) {
    AnswerAll(answer);
    return Client()->ResolveRevision(repo_, "main", Never).status();
  }

  std::string without_;
};

TEST_F(HubClientTest, MetadataOfASmallFileIsItsOwn) {
  const auto metadata = Metadata("config.json");
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  EXPECT_EQ(metadata->commit, kFakeCommit);
  EXPECT_EQ(metadata->etag, FakeEtag("{}", false));
  EXPECT_EQ(metadata->size, 2);
  EXPECT_EQ(metadata->url.ToString(),
            "https://hub.test/org/name/resolve/main/config.json");
}

TEST_F(HubClientTest, MetadataOfALargeFileIsWhatTheRedirectSays) {
  hub_.AddFile("m.bin", std::string(1000, 'x'), true);
  const auto metadata = Metadata("m.bin");
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  EXPECT_EQ(metadata->etag, FakeEtag(std::string(1000, 'x'), true));
  EXPECT_EQ(metadata->size, 1000);
  EXPECT_EQ(metadata->url.host, "cdn.test");
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(HubClientTest, AFileInXetIsFetchedThroughTheHub) {
  FakeAnswer answer = Failing(302, {{"X-Repo-Commit", kFakeCommit},
                                    {"X-Linked-Etag", std::string(64, 'a')},
                                    {"X-Linked-Size", "7"},
                                    {"X-Xet-Hash", std::string(64, 'b')},
                                    {"X-Xet-Refresh-Route", "/x"},
                                    {"Location", "https://cas.test/z"}});
  AnswerAll(answer);
  EXPECT_EQ(Metadata("m.bin")->url.host, "hub.test");
}

TEST_F(HubClientTest, RevisionsAndNamesAreEncoded) {
  hub_.AddFile("a b/c#d?.json", "{}");
  const auto metadata = Client()->GetMetadata(
      repo_, "refs/pr/1", "a b/c#d?.json", true, Never, &without_);
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  EXPECT_EQ(hub_.requests()[0],
            "HEAD https://hub.test/org/name/resolve/refs%2Fpr%2F1/"
            "a%20b/c%23d%3F.json");
}

TEST_F(HubClientTest, ARenamedRepositoryIsFollowed) {
  hub_.misbehave = [](const HttpRequest& request,
                      int) -> absl::optional<FakeAnswer> {
    if (!absl::StrContains(request.url, "/old/")) return absl::nullopt;
    return Failing(307, {{"Location", "/org/name/resolve/main/config.json"}});
  };
  const auto old = *RepoId::Create("old/name");
  const auto metadata =
      Client()->GetMetadata(old, "main", "config.json", true, Never, &without_);
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  EXPECT_EQ(metadata->etag, FakeEtag("{}", false));
  EXPECT_EQ(FindField(hub_.full_requests()[1].fields, "Authorization"),
            "Bearer hf_verysecret");
}

TEST_F(HubClientTest, ACircleOfRedirectsEnds) {
  AnswerAll(Failing(302, {{"Location", "/org/name/resolve/main/config.json"}}));
  EXPECT_EQ(ErrorId(Metadata("config.json").status()), "HUB_RESPONSE");
  EXPECT_EQ(hub_.num_requests(), 21);
}

TEST_F(HubClientTest, ARedirectToPlainHttpIsRefused) {
  AnswerAll(Failing(302, {{"Location", "http://hub.test/x"}}));
  EXPECT_EQ(ErrorId(Metadata("config.json").status()), "HUB_RESPONSE");
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(HubClientTest, TheTokenGoesToTheEndpointAlone) {
  hub_.misbehave = [](const HttpRequest&,
                      int count) -> absl::optional<FakeAnswer> {
    // Away, on, and back.
    if (count == 0) return Failing(302, {{"Location", "https://b.test/"}});
    if (count == 1) return Failing(302, {{"Location", "https://c.test:1/"}});
    if (count == 2) {
      return Failing(302, {{"Location", "https://hub.test/api/whoami"}});
    }
    return FakeAnswer();
  };
  const Url url = *ParseUrl("https://hub.test/org/name/resolve/main/x");
  const Reply reply = Client()->GetBytes(
      url, {}, "x",
      [](const HttpResponse&, const Url&) { return absl::OkStatus(); },
      [](absl::Span<const uint8_t>) { return absl::OkStatus(); }, Never);
  ASSERT_TRUE(reply.failure.status.ok()) << reply.failure.status;
  const auto requests = hub_.full_requests();
  ASSERT_EQ(requests.size(), 4);
  EXPECT_EQ(FindField(requests[0].fields, "authorization"),
            "Bearer hf_verysecret");
  for (size_t i = 1; i < requests.size(); ++i) {
    for (const auto& [name, value] : requests[i].fields) {
      EXPECT_FALSE(absl::StrContains(value, "verysecret")) << i << name;
    }
  }
}

TEST_F(HubClientTest, ErrorsAreToldByTheirCodes) {
  const struct {
    int status;
    HeaderFields fields;
    const char* id;
  } kCases[] = {
      {404, {{"X-Error-Code", "RevisionNotFound"}}, "HUB_REVISION_NOT_FOUND"},
      {404, {{"X-Error-Code", "EntryNotFound"}}, "HUB_ENTRY_NOT_FOUND"},
      {403, {{"X-Error-Code", "GatedRepo"}}, "HUB_GATED_REPO"},
      {401, {{"X-Error-Code", "GatedRepo"}}, "HUB_GATED_REPO"},
      {404, {{"X-Error-Code", "RepoNotFound"}}, "HUB_REPOSITORY_NOT_FOUND"},
      {403,
       {{"X-Error-Message", "Access to this resource is disabled."}},
       "HUB_DISABLED_REPO"},
      {401, {}, "HUB_REPOSITORY_NOT_FOUND"},
      {401,
       {{"X-Error-Message", "Invalid credentials in Authorization header"}},
       "HUB_UNAUTHORIZED"},
      {429, {}, "HUB_RATE_LIMITED"},
      {400, {}, "HUB_HTTP"},
      {403, {}, "HUB_HTTP"},
      {404, {}, "HUB_HTTP"},
      {500, {}, "HUB_HTTP"},
  };
  for (const auto& test : kCases) {
    const absl::Status status = ErrorOf(Failing(test.status, test.fields));
    EXPECT_EQ(ErrorId(status), test.id) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "org/name")) << status;
  }
}

TEST_F(HubClientTest, ErrorsRepeatWhatTheServerSaysOnceAndNoToken) {
  const absl::Status status = ErrorOf(
      Failing(400, {{"X-Error-Message", "no!"}, {"X-Request-Id", "Root=1"}},
              R"({"error": ["no!", "your token hf_verysecret is odd"]})"));
  EXPECT_TRUE(
      absl::StrContains(status.message(), "(no!; your token *** is odd)"))
      << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "Root=1")) << status;
}

TEST_F(HubClientTest, AnErrorPageOfAnySizeIsNotRepeated) {
  const absl::Status status =
      ErrorOf(Failing(404, {}, "<html>" + std::string(1 << 20, 'x')));
  EXPECT_EQ(ErrorId(status), "HUB_HTTP");
  EXPECT_LT(status.message().size(), 300);
}

TEST_F(HubClientTest, WhatMayPassIsTriedSixTimes) {
  for (const int code : {0, 408, 429, 500, 502, 503, 504}) {
    sleeps_.clear();
    hub_.ForgetRequests();
    EXPECT_FALSE(ErrorOf(Failing(code, {})).ok());
    EXPECT_EQ(hub_.num_requests(), 6) << code;
    ASSERT_EQ(sleeps_.size(), 5);
    const int64_t longest[] = {1000, 2000, 4000, 8000, 8000};
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_LE(sleeps_[i], longest[i]);
      EXPECT_GE(sleeps_[i], longest[i] / 2);
    }
  }
}

TEST_F(HubClientTest, WhatDoesNotPassIsTriedOnce) {
  for (const int code : {400, 401, 403, 404, 501}) {
    hub_.ForgetRequests();
    EXPECT_FALSE(ErrorOf(Failing(code, {})).ok());
    EXPECT_EQ(hub_.num_requests(), 1) << code;
  }
}

TEST_F(HubClientTest, AServerThatRecoversIsGoodEnough) {
  hub_.misbehave = [](const HttpRequest&,
                      int count) -> absl::optional<FakeAnswer> {
    if (count < 5) return Failing(503, {});
    return absl::nullopt;
  };
  EXPECT_EQ(*Client()->ResolveRevision(repo_, "main", Never), kFakeCommit);
}

TEST_F(HubClientTest, AServersWaitIsHonoured) {
  for (const HeaderFields& fields :
       {HeaderFields{{"Retry-After", "17"}},
        HeaderFields{{"RateLimit", "\"api\";r=0;t=17"},
                     {"Retry-After", "3"}}}) {
    sleeps_.clear();
    const absl::Status status = ErrorOf(Failing(429, fields));
    EXPECT_EQ(sleeps_[0], 18000);
    EXPECT_TRUE(absl::StrContains(status.message(), "wait 17 s")) << status;
  }
}

TEST_F(HubClientTest, AnHoursWaitIsAnError) {
  EXPECT_EQ(ErrorId(ErrorOf(Failing(429, {{"Retry-After", "3600"}}))),
            "HUB_RATE_LIMITED");
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(HubClientTest, ACancelledWaitEnds) {
  client_options_.retry.sleep = SleepFor;
  AnswerAll(Failing(503, {}));
  const auto commit =
      Client()->ResolveRevision(repo_, "main", [] { return true; });
  EXPECT_EQ(ErrorId(commit.status()), "CANCELLED");
}

TEST_F(HubClientTest, MetadataThatLacksSomethingIsNone) {
  const HeaderFields whole = {{"X-Repo-Commit", kFakeCommit},
                              {"ETag", std::string(40, 'a')},
                              {"Content-Length", "2"}};
  AnswerAll(Failing(200, whole));
  EXPECT_TRUE(Metadata("config.json").ok());
  for (size_t i = 0; i < whole.size(); ++i) {
    HeaderFields fields = whole;
    fields[i].second = "../../x";
    AnswerAll(Failing(200, fields));
    EXPECT_EQ(ErrorId(Metadata("config.json").status()), "HUB_RESPONSE") << i;
    fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(i));
    AnswerAll(Failing(200, fields));
    EXPECT_EQ(ErrorId(Metadata("config.json").status()), "HUB_RESPONSE") << i;
  }
}

TEST_F(HubClientTest, EtagsAreNormalised) {
  for (const char* etag : {"%s", "\"%s\"", "W/\"%s\""}) {
    const std::string digest(40, 'a');
    std::string text = etag;
    text.replace(text.find("%s"), 2, digest);
    AnswerAll(Failing(200, {{"X-Repo-Commit", kFakeCommit},
                            {"ETag", text},
                            {"Content-Length", "2"}}));
    EXPECT_EQ(Metadata("config.json")->etag, digest) << etag;
  }
}

TEST_F(HubClientTest, AMissingFileSaysAtWhichCommit) {
  EXPECT_EQ(ErrorId(Metadata("absent").status()), "HUB_ENTRY_NOT_FOUND");
  EXPECT_EQ(without_, kFakeCommit);
}

TEST_F(HubClientTest, AListingHasAllPages) {
  hub_.page_size = 2;
  for (int i = 0; i < 6; ++i) hub_.AddFile(absl::StrCat("f", i), "x", i % 2);
  const auto tree = Client()->ListFiles(repo_, kFakeCommit, Never);
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(tree->size(), 7);
  EXPECT_EQ(hub_.num_requests(), 4);
  EXPECT_EQ(tree->at("f1").etag(), FakeEtag("x", true));
  EXPECT_EQ(tree->at("f2").etag(), FakeEtag("x", false));
}

TEST_F(HubClientTest, PagesWithoutEndAreAnError) {
  FakeAnswer page;
  page.body = "[]";
  page.fields = {{"Link", "<https://hub.test/next>; rel=\"next\""}};
  AnswerAll(page);
  const auto tree = Client()->ListFiles(repo_, kFakeCommit, Never);
  EXPECT_EQ(ErrorId(tree.status()), "HUB_RESPONSE");
}

TEST_F(HubClientTest, NamesThatLeaveTheFolderAreRefused) {
  hub_.AddFile("../../etc/x", "x");
  const auto tree = Client()->ListFiles(repo_, kFakeCommit, Never);
  EXPECT_EQ(ErrorId(tree.status()), "PATH_ESCAPES");
}

TEST_F(HubClientTest, AnAnswerWithoutEndIsAnError) {
  FakeAnswer page;
  page.body = std::string((64 << 20) + 1, ' ');
  AnswerAll(page);
  const auto commit = Client()->ResolveRevision(repo_, "main", Never);
  EXPECT_EQ(ErrorId(commit.status()), "HUB_RESPONSE");
}

TEST_F(HubClientTest, RefsAreListed) {
  const auto refs = Client()->ListRefs(repo_, true, Never);
  ASSERT_TRUE(refs.ok()) << refs.status();
  ASSERT_EQ(refs->size(), 1);
  EXPECT_EQ((*refs)[0].ref, "refs/heads/main");
  EXPECT_EQ((*refs)[0].commit, kFakeCommit);
}

TEST_F(HubClientTest, OfflineMeansNoRequest) {
  settings_.offline = true;
  EXPECT_EQ(ErrorId(Metadata("config.json").status()), "HUB_OFFLINE");
  settings_.offline = false;
  client_options_.local_files_only = true;
  EXPECT_EQ(ErrorId(Metadata("config.json").status()), "HUB_OFFLINE");
  client_options_.local_files_only = false;
  const auto client = HubClient::Create(settings_, client_options_, nullptr);
  EXPECT_EQ(ErrorId((*client)->ResolveRevision(repo_, "main", Never).status()),
            "HUB_OFFLINE");
  EXPECT_EQ(hub_.num_requests(), 0);
}

TEST_F(HubClientTest, RequestsSayWhoAsks) {
  settings_.user_agent_origin = "lab";
  ASSERT_TRUE(Metadata("config.json").ok());
  const HttpRequest request = hub_.full_requests()[0];
  EXPECT_EQ(FindField(request.fields, "User-Agent"), "libpeft; origin/lab");
  EXPECT_EQ(FindField(request.fields, "X-HF-Download-Counter"), "1");
  EXPECT_EQ(FindField(request.fields, "X-Amzn-Trace-Id").size(), 36);
}

TEST_F(HubClientTest, TokensAreLookedForInOrder) {
  const auto sent = [this] {
    hub_.ForgetRequests();
    EXPECT_TRUE(Metadata("config.json").ok());
    return std::string(
        FindField(hub_.full_requests()[0].fields, "Authorization"));
  };
  Write(settings_.token_path, " hf_file\r\n");
  client_options_.token = "hf_given";
  EXPECT_EQ(sent(), "Bearer hf_given");
  client_options_.token = "";
  EXPECT_EQ(sent(), "Bearer hf_verysecret");
  settings_.token = "";
  EXPECT_EQ(sent(), "Bearer hf_file");
  settings_.implicit_token = false;
  EXPECT_EQ(sent(), "");
}

TEST_F(HubClientTest, ATokenThatNoHeaderCanCarryIsRefusedUnseen) {
  client_options_.token = "hf_a hf_b";
  const auto client = HubClient::Create(settings_, client_options_, &hub_);
  EXPECT_EQ(ErrorId(client.status()), "ARGUMENT");
  EXPECT_FALSE(absl::StrContains(client.status().message(), "hf_a"));
}

}  // namespace
}  // namespace hub
}  // namespace peft
