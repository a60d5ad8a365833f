#include "hub/url.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

TEST(ParseUrlTest, GivesThePartsInLowerCaseWithTheSchemesPort) {
  const auto url = ParseUrl("HTTPS://HuggingFace.co/a/B?c=D");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->host, "huggingface.co");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->target, "/a/B?c=D");
}

TEST(ParseUrlTest, WritesWhatItRead) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"http://a", "http://a/"},
      {"http://a:80/", "http://a/"},
      {"http://a:", "http://a/"},
      {"https://a:80/x", "https://a:80/x"},
      {"http://a?q", "http://a/?q"},
      {"http://a#f", "http://a/"},
      {"http://a/b?c#d?e", "http://a/b?c"},
      {"http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x"},
      {"http://127.0.0.1:1/%41", "http://127.0.0.1:1/%41"},
      {"http://a/x@y", "http://a/x@y"},
  };
  for (const auto& [text, expected] : cases) {
    const auto url = ParseUrl(text);
    ASSERT_TRUE(url.ok()) << url.status();
    EXPECT_EQ(url->ToString(), expected) << text;
  }
}

TEST(ParseUrlTest, RefusesWhatIsNoHttpUrl) {
  for (const std::string text : {"",
                                 "/a",
                                 "a",
                                 "ftp://a/",
                                 "http:/a",
                                 "http:a",
                                 "http://",
                                 "http:///x",
                                 "http://a:0/",
                                 "http://a:65536/",
                                 "http://a:x/",
                                 "http://a:+1/",
                                 "http://a b/",
                                 "http://a/ b",
                                 "http://a/\r\nHost: b",
                                 "http://a/\x7f",
                                 "http://a/\xc3\xa9",
                                 "http://[::1/",
                                 "http://[::1]x/",
                                 "http://[a]/",
                                 "http://[::1%25eth0]/",
                                 "http://a%2eb/",
                                 "http://a\\b/",
                                 "://a/",
                                 "file:///etc/passwd",
                                 "socks5://a:1"}) {
    const auto url = ParseUrl(text);
    ASSERT_FALSE(url.ok()) << text;
    EXPECT_EQ(ErrorId(url.status()), error_id::kHubUrl) << text;
  }
  EXPECT_FALSE(ParseUrl(absl::string_view("http://a/\0", 10)).ok());
}

TEST(ParseUrlTest, KeepsPasswordsAndSignaturesOutOfItsErrors) {
  for (const std::string text :
       {"http://user:secret@host/", "ftp://u:secret@host/", "x://a?k=secret",
        "http://u:secret@host:99999/ x"}) {
    const auto url = ParseUrl(text);
    ASSERT_FALSE(url.ok()) << text;
    EXPECT_FALSE(absl::StrContains(url.status().message(), "secret")) << text;
  }
}

TEST(UrlTest, AnOriginIsSchemeHostAndPort) {
  const Url url = *ParseUrl("https://a/x");
  EXPECT_TRUE(url.HasOriginOf(*ParseUrl("https://A:443/y?z")));
  EXPECT_FALSE(url.HasOriginOf(*ParseUrl("http://a:443/x")));
  EXPECT_FALSE(url.HasOriginOf(*ParseUrl("https://b/x")));
  EXPECT_FALSE(url.HasOriginOf(*ParseUrl("https://a:444/x")));
}

// RFC 3986, 5.4, but for the schemes that are not http.
TEST(ResolveUrlTest, FollowsTheExamplesOfTheRfc) {
  const Url base = *ParseUrl("http://a/b/c/d;p?q");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {";x", "http://a/b/c/;x"},
      {"g;x", "http://a/b/c/g;x"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"./", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../g", "http://a/g"},
      {"../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {"..g", "http://a/b/c/..g"},
      {"./g/.", "http://a/b/c/g/"},
      {"g/../h", "http://a/b/c/h"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
      {"https://g/a/../b", "https://g/b"},
      {"//g:8080/x?y", "http://g:8080/x?y"},
  };
  for (const auto& [reference, expected] : cases) {
    const auto url = ResolveUrl(base, reference);
    ASSERT_TRUE(url.ok()) << reference << ": " << url.status();
    EXPECT_EQ(url->ToString(), expected) << reference;
  }
}

TEST(ResolveUrlTest, RefusesOtherSchemesAndBytes) {
  const Url base = *ParseUrl("https://a/b");
  for (const std::string reference :
       {"g:h", "javascript:x", "http:g", "file:///x", "//", "//u@g/", "/a b",
        "/\r\n", "\xff"}) {
    EXPECT_FALSE(ResolveUrl(base, reference).ok()) << reference;
  }
}

TEST(PercentEncodeTest, KeepsLettersDigitsAndWhatIsSafe) {
  EXPECT_EQ(PercentEncode("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(PercentEncode("a/b c~-._9", "/"), "a/b%20c~-._9");
  EXPECT_EQ(PercentEncode("\xc3\xa9%?"), "%C3%A9%25%3F");
}

}  // namespace
}  // namespace hub
}  // namespace peft
